function Format-ScreenGroup {
    # Return the cells done by arm or by benchmark: the first eight, and how many more there are.
    param([object[]]$Groups, [string]$Code, [int]$Width, [string]$Language)
    if ($Groups.Count -eq 0) { return }
    $parts = @($Groups | Select-Object -First 8 | ForEach-Object { '{0} {1}/{2}' -f $_.Name, $_.CellsDone, $_.CellsTotal })
    if ($Groups.Count -gt 8) { $parts += Format-Text 'more' $Language @($Groups.Count - 8) }
    $parts[0] = (Format-Text $Code $Language) + ': ' + $parts[0]
    Join-Part $parts ' | ' $Width '  '
}
