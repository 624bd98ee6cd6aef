function Format-ScreenCount {
    # Return phase, cells, failures, speed and how often the pipeline was resumed.
    param($View, [string]$Language)
    Format-Text 'phase' $Language @(Get-Text 'phases' $View.Phase $Language)
    if ($null -ne $View.CellsDone -and $null -ne $View.CellsTotal) { Format-Text 'cells' $Language @($View.CellsDone, $View.CellsTotal) }
    Format-Text 'failed' $Language @($View.Failures.Count)
    if ($null -ne $View.TokensPerSecond) {
        [string]::Format([cultureinfo]::InvariantCulture, '{0:N0} tok/s', (Format-Whole $View.TokensPerSecond))
    }
    if ($View.Attempts -eq 2) { Format-Text 'attempts_once' $Language }
    elseif ($View.Attempts -gt 2) { Format-Text 'attempts' $Language @($View.Attempts - 1) }
}
