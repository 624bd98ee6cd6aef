function Format-ScreenTime {
    # Return the elapsed time, and the time left if the pipeline runs.
    param($View, [string]$Language)
    Format-Text 'elapsed' $Language @(Format-Clock $View.ElapsedSeconds)
    if ($View.State -eq 'running') {
        if ($null -eq $View.SecondsLeft) { Format-Text 'left_unknown' $Language }
        else { Format-Text 'left' $Language @(Format-Clock $View.SecondsLeft) }
    }
}
