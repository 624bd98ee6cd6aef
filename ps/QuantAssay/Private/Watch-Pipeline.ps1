function Watch-Pipeline {
    # Look and show until the pipeline has ended, or cannot be watched. Return the last view.
    param($Dashboard, [string]$PipelineId, $State, [string]$Language, [double]$UpdateInterval)
    $view = $null
    $hasAnswered = $false
    $pause = $UpdateInterval
    $silence = [System.Diagnostics.Stopwatch]::StartNew()
    while ($true) {
        $view = Get-PipelineView $Dashboard $PipelineId $view
        Show-View $view $State $Language
        if (Test-Answered $view) {
            $hasAnswered = $true
            $silence.Restart()
        }
        if ((Test-Ended $view) -or $view.Problem -eq 'no_such_pipeline') { return $view }
        if (-not $hasAnswered -and (Test-Hopeless $view)) { return $view }
        # After ten minutes without an answer, nobody waits any more.
        if ($silence.Elapsed.TotalSeconds -gt 600) { return $view }
        $pause = Get-Pause $view $pause $UpdateInterval
        Start-Sleep -Milliseconds ([int](1000 * $pause))
    }
}
