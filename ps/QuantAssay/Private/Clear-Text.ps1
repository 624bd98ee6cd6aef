function Clear-Text {
    # Return a text whose control characters are question marks, so that a name cannot control the terminal.
    param([string]$Text)
    $clean = New-Object System.Text.StringBuilder
    $hidden = @('Control', 'Format', 'Surrogate', 'PrivateUse', 'OtherNotAssigned')
    foreach ($character in @(Split-CodePoint $Text)) {
        $category = [string][System.Globalization.CharUnicodeInfo]::GetUnicodeCategory($character, 0)
        if ($hidden -contains $category) { [void]$clean.Append('?') } else { [void]$clean.Append($character) }
    }
    $clean.ToString()
}
