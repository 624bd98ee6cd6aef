function Get-PipelineView {
    # Look once at a pipeline. If the dashboard gives nothing, return the view before, with the problem.
    param($Dashboard, [string]$PipelineId, $Before = $null)
    $listed = Get-JobList $Dashboard
    $problem = $listed.Problem
    $own = @()
    $text = ''
    if (-not $problem) {
        $own = @(Select-PipelineJob $listed.Jobs $PipelineId)
        if ($own.Count -eq 0) { $own = @(Find-NamelessJob $Dashboard $listed.Jobs $PipelineId) }
        if ($own.Count -gt 0) {
            $job = $own[$own.Count - 1]
            $node = Get-String $job 'driver_node_id'
            if ($node) {
                $submission = Get-String $job 'submission_id'
                $tail = Get-LogTail $Dashboard $node $submission 20
                if (-not $tail.Problem -and $null -eq (Read-ProgressLog $tail.Text $PipelineId).Progress) {
                    $tail = Get-LogTail $Dashboard $node $submission 200
                }
                $text = $tail.Text
                $problem = $tail.Problem
            }
        }
    }
    if ($problem -and $problem -ne 'log_gone') {
        if ($null -eq $Before) { return (New-PipelineView -PipelineId $PipelineId -Problem $problem) }
        $view = $Before.PSObject.Copy()
        $view.Problem = $problem
        return $view
    }
    $nodes = @()
    if ($own.Count -gt 0) { $nodes = @(Get-NodeList $Dashboard) }
    return (New-PipelineView -PipelineId $PipelineId -Jobs $own -Log $text -Nodes $nodes -Problem $problem)
}
