function Get-Text {
    # Return a text of texts.json in a language. An unknown code is shown as it is.
    param([string]$Group, [string]$Code, [string]$Language)
    $entry = Get-Field (Get-Field $script:Texts $Group) $Code
    if ($null -eq $entry) { return $Code }
    return (Get-Field $entry $Language)
}
