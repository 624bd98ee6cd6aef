function Measure-Text {
    # Return the number of terminal columns of a text: 2 per wide East Asian character, 0 per combining mark.
    param([string]$Text)
    if ($Text -cmatch '^[\x20-\x7e]*\z') { return $Text.Length }
    $columns = 0
    foreach ($character in @(Split-CodePoint $Text)) {
        $code = [int]$character[0]
        if ($character.Length -eq 2) { $code = [char]::ConvertToUtf32($character, 0) }
        if ($code -lt 0x300) { $columns += 1 }
        elseif (Test-InRange $code $script:Widths.zero) { $columns += 0 }
        elseif (Test-InRange $code $script:Widths.wide) { $columns += 2 }
        else { $columns += 1 }
    }
    return $columns
}
