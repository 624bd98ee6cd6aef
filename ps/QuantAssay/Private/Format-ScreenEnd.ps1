function Format-ScreenEnd {
    # Return the state, which file to take, the verdict of each arm, and the end of the log of a job that printed nothing.
    param($View, [int]$Width, [string]$Language)
    Format-Text 'state' $Language @(Get-Text 'states' $View.State $Language)
    foreach ($headline in @(Get-Field $View.Headlines $Language)) { Split-Text $headline $Width }
    $verdicts = @($View.Verdicts | ForEach-Object { $_.Arm + ': ' + (Get-Text 'verdicts' $_.Verdict $Language) })
    Join-Part $verdicts '   ' $Width
    foreach ($line in $View.LogEnd) { Limit-Text ('  ' + (Clear-Text $line)) $Width }
}
