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
