function Format-ScreenResource {
    # Return the use of resources: first of the job, then of each node by everything that runs there.
    param($View, [int]$Width, [string]$Language)
    if ($null -ne $View.CpuPercent -and $View.State -eq 'running') {
        $parts = @((Format-Text 'job' $Language) + ': ' + (Format-Text 'cpu' $Language @(Format-Whole $View.CpuPercent)))
        if ($null -ne $View.MemoryBytes) { $parts += Format-Text 'memory' $Language @(Format-Gib $View.MemoryBytes) }
        Join-Part $parts ' | ' $Width
    }
    foreach ($node in @($View.Nodes | Select-Object -First 4)) {
        $parts = @(
            (Format-Text 'node' $Language @($node.Name)) + ': ' + (Format-Text 'cpu' $Language @(Format-Whole $node.CpuPercent))
            Format-Text 'memory' $Language @(Format-Used $node.MemoryUsedBytes $node.MemoryTotalBytes)
        )
        foreach ($gpu in $node.Gpus) { $parts += Format-GpuText $gpu }
        Join-Part $parts ' | ' $Width '  '
    }
    $hidden = $View.Nodes.Count - 4
    if ($hidden -gt 0) { Format-Text 'more_nodes' $Language @($hidden) }
}
