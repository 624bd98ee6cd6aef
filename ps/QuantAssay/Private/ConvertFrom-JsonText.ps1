function ConvertFrom-JsonText {
    # Return an object whose property Value is the JSON object or the list of a text; nothing if the text is neither.
    # The wrapping keeps lists whole. ConvertFrom-Json throws for some broken texts, and returns a string for others.
    param([string]$Text)
    $trimmed = $Text.Trim()
    $isList = $trimmed.StartsWith('[', [System.StringComparison]::Ordinal)
    if (-not $isList -and -not $trimmed.StartsWith('{', [System.StringComparison]::Ordinal)) { return }
    if ($isList -and $trimmed -cmatch '^\[\s*\]$') { return [pscustomobject]@{ Value = @() } }
    $options = @{ InputObject = $trimmed }
    # Windows PowerShell 5.1 never unrolls a list, and has no such parameter.
    if ((Get-Command -Name 'ConvertFrom-Json').Parameters.ContainsKey('NoEnumerate')) { $options['NoEnumerate'] = $true }
    try {
        $value = ConvertFrom-Json @options
    } catch {
        $options['InputObject'] = ConvertTo-DistinctKey $trimmed
        if ($options['InputObject'] -ceq $trimmed) { return }
        try {
            $value = ConvertFrom-Json @options
        } catch {
            return
        }
    }
    if ($isList -and $value -isnot [array]) { return }
    if (-not $isList -and -not (Test-JsonObject $value)) { return }
    return [pscustomobject]@{ Value = $value }
}
