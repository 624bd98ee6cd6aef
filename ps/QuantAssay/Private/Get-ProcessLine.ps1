function Get-ProcessLine {
    # Return the use of CPU (of one core, over a second) and memory by a process of this machine; nothing if there is none.
    param([int]$ProcessId, [string]$Language)
    $before = @(Get-Process -Id $ProcessId -ErrorAction SilentlyContinue)
    if ($before.Count -eq 0) { return }
    $clock = [System.Diagnostics.Stopwatch]::StartNew()
    $cpuBefore = $before[0].TotalProcessorTime
    Start-Sleep -Milliseconds 1000
    $after = @(Get-Process -Id $ProcessId -ErrorAction SilentlyContinue)
    if ($after.Count -eq 0) { return }
    $parts = @(Format-Text 'process' $Language @($ProcessId))
    if ($null -ne $cpuBefore -and $null -ne $after[0].TotalProcessorTime) {
        $share = 100 * ($after[0].TotalProcessorTime - $cpuBefore).TotalSeconds / $clock.Elapsed.TotalSeconds
        $parts[0] += ': ' + (Format-Text 'cpu' $Language @(Format-Whole $share))
    }
    $parts += Format-Text 'memory' $Language @(Format-Gib $after[0].WorkingSet64)
    Join-Part $parts ' | ' 160
}
