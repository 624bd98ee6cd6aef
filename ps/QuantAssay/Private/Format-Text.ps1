function Format-Text {
    # Return one of the words of texts.json with its values filled in.
    param([string]$Code, [string]$Language, [object[]]$Values = @())
    $text = Get-Text -Group 'words' -Code $Code -Language $Language
    foreach ($value in $Values) {
        $place = $text.IndexOf('{}')
        if ($place -lt 0) { break }
        $shown = [System.Convert]::ToString($value, [cultureinfo]::InvariantCulture)
        $text = $text.Substring(0, $place) + $shown + $text.Substring($place + 2)
    }
    $text
}
