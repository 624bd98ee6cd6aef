function Test-InRange {
    # Return whether a code point is in one of the sorted ranges.
    param([int]$CodePoint, [object[]]$Ranges)
    $low = 0
    $high = $Ranges.Count - 1
    while ($low -le $high) {
        $middle = [int][math]::Floor(($low + $high) / 2)
        if ($CodePoint -lt $Ranges[$middle][0]) { $high = $middle - 1 }
        elseif ($CodePoint -gt $Ranges[$middle][1]) { $low = $middle + 1 }
        else { return $true }
    }
    return $false
}

function Split-CodePoint {
    # Return the characters of a text, with both halves of a surrogate pair together.
    param([string]$Text)
    $index = 0
    while ($index -lt $Text.Length) {
        $length = 1
        if ([char]::IsHighSurrogate($Text[$index]) -and $index + 1 -lt $Text.Length -and [char]::IsLowSurrogate($Text[$index + 1])) { $length = 2 }
        $Text.Substring($index, $length)
        $index += $length
    }
}

function Measure-Text {
    # Return the number of terminal columns of a text: 2 per wide East Asian character, 0 per combining mark.
    param([string]$Text)
    $columns = 0
    foreach ($character in @(Split-CodePoint $Text)) {
        $code = [int]$character[0]
        if ($character.Length -eq 2) { $code = [char]::ConvertToUtf32($character, 0) }
        if ($code -lt 0x300) { $columns += 1 }
        elseif (Test-InRange $code $script:Widths.zero) { $columns += 0 }
        elseif (Test-InRange $code $script:Widths.wide) { $columns += 2 }
        else { $columns += 1 }
    }
    $columns
}
