function ConvertTo-NodeView {
    # Return the use of a node; nothing if the dashboard does not know it (yet).
    param($Summary)
    $memory = @(Get-Field $Summary 'mem')
    if ($memory.Count -lt 4) { return }
    $total = ConvertTo-Count $memory[0]
    $used = ConvertTo-Count $memory[3]
    if (-not $total -or $null -eq $used) { return }
    $place = 0
    $gpus = @(foreach ($gpu in @(Select-JsonObject $Summary 'gpus')) {
            ConvertTo-GpuView $gpu $place
            $place++
        })
    $cpu = Get-Number $Summary 'cpu'
    if ($null -eq $cpu) { $cpu = 0 }
    return [pscustomobject]@{
        Name             = [string](Get-String $Summary 'hostname')
        CpuPercent       = $cpu
        MemoryUsedBytes  = $used
        MemoryTotalBytes = $total
        Gpus             = $gpus
    }
}
