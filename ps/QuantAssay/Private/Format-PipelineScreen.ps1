function Format-PipelineScreen {
    # Return the screen of a pipeline as lines of at most Width columns. tests/monitor has the screens that must come out.
    param($View, [int]$Width, [string]$Language)
    $lines = @(Format-ScreenHead $View $Width $Language)
    if ($null -ne $View.Phase) {
        $lines += @(Join-Part @(Format-ScreenCount $View $Language) '   ' $Width)
        if ($View.State -eq 'running') { $lines += @(Format-ScreenPlan $View $Width $Language) }
        $lines += @(Format-ScreenWork $View $Width $Language)
    }
    $lines += @(Format-ScreenResource $View $Width $Language)
    if ($null -ne $View.ElapsedSeconds) { $lines += @(Join-Part @(Format-ScreenTime $View $Language) '   ' $Width) }
    $lines += @(Format-ScreenFailure $View $Width $Language)
    if ($null -eq $View.Phase -or @('running', 'pending') -notcontains $View.State) { $lines += @(Format-ScreenEnd $View $Width $Language) }
    if ($View.Problem) { $lines += @(Split-Text ('! ' + (Get-Text 'problems' $View.Problem $Language)) $Width) }
    foreach ($line in $lines) { (Limit-Text (Clear-Text $line) $Width).TrimEnd(' ') }
}
