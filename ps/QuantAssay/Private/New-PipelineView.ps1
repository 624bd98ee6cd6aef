function New-PipelineView {
    # Return what is known of a pipeline as one object; tests/monitor has the objects that must come out.
    param([string]$PipelineId, [object[]]$Jobs = @(), [string]$Log = '', [object[]]$Nodes = @(), [string]$Problem = '')
    $job = $null
    $state = 'unknown'
    $said = Read-ProgressLog $Log $PipelineId
    $progress = $said.Progress
    $logEnd = @()
    if ($Jobs.Count -eq 0) {
        $progress = $null
        if (-not $Problem) { $Problem = 'no_such_pipeline' }
    } else {
        $job = $Jobs[$Jobs.Count - 1]
        $state = Get-ViewState $job $progress
        if ($null -eq $progress) {
            if (-not $Problem -and $state -eq 'pending') { $Problem = 'not_started' }
            elseif (-not $Problem -and $state -eq 'running') { $Problem = 'no_progress_yet' }
            if (@('done', 'failed', 'stopped') -contains $state) { $logEnd = @(Get-LastLine $Log) }
        }
    }
    $percent = Get-Number $progress 'percent'
    if ($null -ne $percent) { $percent = [math]::Min([math]::Max([double]$percent, 0), 100) }
    $headlines = Get-Field $said.Result 'headlines'
    $shownProblem = $null
    if ($Problem) { $shownProblem = $Problem }
    $updatedAt = $null
    if ($null -ne $progress) { $updatedAt = $said.UpdatedAt }
    return [pscustomobject]@{
        PipelineId      = $PipelineId
        State           = $state
        JobStatus       = Get-String $job 'status'
        SubmissionId    = Get-String $job 'submission_id'
        Attempts        = $Jobs.Count
        Phase           = Get-String $progress 'phase'
        Percent         = $percent
        CellsDone       = Get-Count $progress 'cells_done'
        CellsTotal      = Get-Count $progress 'cells_total'
        TokensPerSecond = Get-Number $progress 'tokens_per_second'
        ElapsedSeconds  = Get-Number $progress 'elapsed_s'
        SecondsLeft     = Get-Number $progress 'seconds_left'
        CpuPercent      = Get-Number $progress 'cpu_percent'
        MemoryBytes     = Get-Count $progress 'memory_bytes'
        ProcessId       = Get-Count $progress 'process_id'
        Workers         = Get-Count $progress 'workers'
        WorkingOn       = @(Select-JsonString $progress 'working_on')
        Phases          = @(Select-JsonObject $progress 'phases' | ForEach-Object { [pscustomobject]@{ Name = [string](Get-String $_ 'name'); State = [string](Get-String $_ 'state') } })
        Arms            = @(Select-CellGroup $progress 'arms')
        Benchmarks      = @(Select-CellGroup $progress 'benchmarks')
        Failures        = @(Select-JsonObject $progress 'failures' | ForEach-Object { [pscustomobject]@{ Unit = [string](Get-String $_ 'unit'); Error = [string](Get-String $_ 'error') } })
        UpdatedAt       = $updatedAt
        Nodes           = @($Nodes | ForEach-Object { ConvertTo-NodeView $_ })
        Headlines       = [pscustomobject]@{ ja = @(Select-JsonString $headlines 'ja'); en = @(Select-JsonString $headlines 'en') }
        Verdicts        = @(Select-JsonObject $said.Result 'arms' | Where-Object { Get-String $_ 'verdict' } | ForEach-Object { [pscustomobject]@{ Arm = [string](Get-String $_ 'name'); Verdict = Get-String $_ 'verdict' } })
        LogEnd          = $logEnd
        Problem         = $shownProblem
        Result          = $said.Result
    }
}
