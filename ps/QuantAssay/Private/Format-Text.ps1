function Format-Text {
    # Return one of the words of texts.json with its values filled in.
    param([string]$Code, [string]$Language, [object[]]$Values = @())
    $text = Get-Text -Group 'words' -Code $Code -Language $Language
    $shown = ''
    foreach ($value in $Values) {
        $place = $text.IndexOf('{}', [System.StringComparison]::Ordinal)
        if ($place -lt 0) { break }
        # What is filled in may hold braces itself: only the rest of the text is searched for the next place.
        $shown += $text.Substring(0, $place) + [System.Convert]::ToString($value, [cultureinfo]::InvariantCulture)
        $text = $text.Substring($place + 2)
    }
    return $shown + $text
}
