function Get-SteadyLine {
    # Return the screen as one line without times and the use of resources, which change all the time.
    param($View, [string]$Language)
    $steady = $View.PSObject.Copy()
    $steady.ElapsedSeconds = $null
    $steady.SecondsLeft = $null
    $steady.CpuPercent = $null
    $steady.TokensPerSecond = $null
    $steady.Nodes = @()
    return @(Format-PipelineScreen $steady 160 $Language) -join '  '
}
