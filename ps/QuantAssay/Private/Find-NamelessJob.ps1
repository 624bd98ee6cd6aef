function Find-NamelessJob {
    # Return the job that prints the progress of this pipeline, among the five newest that do not name their pipeline.
    param($Dashboard, [object[]]$Jobs, [string]$PipelineId)
    foreach ($job in @(Select-NamelessJob $Jobs | Select-Object -First 5)) {
        $node = Get-String $job 'driver_node_id'
        if (-not $node) { continue }
        $tail = Get-LogTail $Dashboard $node (Get-String $job 'submission_id') 200
        if ($null -ne (Read-ProgressLog $tail.Text $PipelineId).Progress) { return $job }
    }
}
