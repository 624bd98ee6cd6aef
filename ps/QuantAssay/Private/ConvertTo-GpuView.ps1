function ConvertTo-GpuView {
    # Return the use of a GPU; null where its driver does not tell.
    param($Gpu, [int]$Place)
    $index = Get-Count $Gpu 'index'
    if ($null -eq $index) { $index = $Place }
    $used = Get-Count $Gpu 'memoryUsed'
    if ($null -ne $used) { $used = $used * 1048576 }
    $total = Get-Count $Gpu 'memoryTotal'
    if ($null -ne $total) { $total = $total * 1048576 }
    return [pscustomobject]@{
        Index            = $index
        Name             = [string](Get-String $Gpu 'name')
        Percent          = Get-Number $Gpu 'utilizationGpu'
        MemoryUsedBytes  = $used
        MemoryTotalBytes = $total
    }
}
