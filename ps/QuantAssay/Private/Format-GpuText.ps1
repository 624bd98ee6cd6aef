function Format-GpuText {
    # Return the use of a GPU in words.
    param($Gpu)
    $text = 'GPU{0}' -f $Gpu.Index
    if ($null -ne $Gpu.Percent) { $text += ' {0}%' -f (Format-Whole $Gpu.Percent) }
    if ($null -ne $Gpu.MemoryUsedBytes -and $Gpu.MemoryTotalBytes) { $text += ' ' + (Format-Used $Gpu.MemoryUsedBytes $Gpu.MemoryTotalBytes) }
    return $text
}
