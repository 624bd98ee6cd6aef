function Clear-Text {
    # Return a text without colours and tabs, and with question marks in place of other control characters, so that a
    # name cannot control the terminal. Both halves of a surrogate pair count as one character.
    param([string]$Text)
    if ($Text -cmatch '^[\x20-\x7e]*\z') { return $Text }
    $plain = [regex]::Replace($Text, '\x1b\[[0-9;]*m', '').Replace([string][char]9, ' ')
    $clean = New-Object System.Text.StringBuilder
    $hidden = @('Control', 'Format', 'Surrogate', 'PrivateUse', 'OtherNotAssigned')
    foreach ($character in @(Split-CodePoint $plain)) {
        $category = [string][System.Globalization.CharUnicodeInfo]::GetUnicodeCategory($character, 0)
        if ($hidden -contains $category) { [void]$clean.Append('?') } else { [void]$clean.Append($character) }
    }
    return $clean.ToString()
}
