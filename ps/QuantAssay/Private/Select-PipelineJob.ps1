function Select-PipelineJob {
    # Return the jobs of a pipeline, from the oldest to the newest.
    param([object[]]$Jobs, [string]$PipelineId)
    $found = @($Jobs | Where-Object { Test-PipelineJob $_ $PipelineId })
    $byTime = @{ Expression = { [double](Get-Number $_ 'start_time') } }
    $byName = @{ Expression = { [string](Get-String $_ 'submission_id') } }
    $found | Sort-Object -Property $byTime, $byName
}
