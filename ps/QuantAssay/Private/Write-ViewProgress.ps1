function Write-ViewProgress {
    # Show a view in the progress display of a host that has no console to draw on.
    param($View, [string]$Language)
    $options = @{ Activity = (Format-Text 'title' $Language) + '  ' + (Clear-Text $View.PipelineId) }
    $options['Status'] = Format-Text 'state' $Language @(Get-Text 'states' $View.State $Language)
    if ($null -ne $View.Phase) { $options['Status'] = (@(Format-ScreenCount $View $Language) | ForEach-Object { Clear-Text $_ }) -join '   ' }
    if ($null -ne $View.Percent) { $options['PercentComplete'] = [int][math]::Floor($View.Percent) }
    if ($null -ne $View.SecondsLeft -and $View.State -eq 'running') { $options['SecondsRemaining'] = [int][math]::Min([math]::Max($View.SecondsLeft, 0), 2147483647) }
    Write-Progress @options
}
