function ConvertTo-NodeView {
    # Return the use of a node; nothing if the dashboard does not know it (yet).
    param($Summary)
    $memory = @(Get-Field $Summary 'mem')
    if ($memory.Count -lt 4) { return }
    $place = 0
    $gpus = @(foreach ($gpu in @(Get-Field $Summary 'gpus')) {
            $index = Get-Number $gpu 'index'
            if ($null -eq $index) { $index = $place }
            $used = Get-Number $gpu 'memoryUsed'
            if ($null -ne $used) { $used = [long]$used * 1048576 }
            $total = Get-Number $gpu 'memoryTotal'
            if ($null -ne $total) { $total = [long]$total * 1048576 }
            [pscustomobject]@{
                Index            = [int]$index
                Name             = [string](Get-Field $gpu 'name')
                Percent          = Get-Number $gpu 'utilizationGpu'
                MemoryUsedBytes  = $used
                MemoryTotalBytes = $total
            }
            $place++
        })
    [pscustomobject]@{
        Name             = [string](Get-Field $Summary 'hostname')
        CpuPercent       = [double](Get-Number $Summary 'cpu')
        MemoryUsedBytes  = [long]$memory[3]
        MemoryTotalBytes = [long]$memory[0]
        Gpus             = $gpus
    }
}

function New-PipelineView {
    # Return what is known of a pipeline as one object; tests/monitor has the objects that must come out.
    param([string]$PipelineId, [object[]]$Jobs = @(), [string]$Log = '', [object[]]$Nodes = @(), [string]$Problem = '')
    $state = 'unknown'
    $status = $null
    $submission = $null
    $progress = $null
    $result = $null
    if ($Jobs.Count -eq 0) {
        if (-not $Problem) { $Problem = 'no_such_pipeline' }
    } else {
        $job = $Jobs[$Jobs.Count - 1]
        $status = [string](Get-Field $job 'status')
        $submission = Get-Field $job 'submission_id'
        $said = Read-ProgressLog $Log $PipelineId
        $progress = $said.Progress
        $result = $said.Result
        $ended = @{ SUCCEEDED = 'done'; FAILED = 'failed'; STOPPED = 'stopped' }
        if ($ended.ContainsKey($status)) { $state = $ended[$status] }
        elseif (Get-Field $job 'driver_node_id') { $state = 'running' }
        else { $state = 'pending' }
        if ($state -eq 'done' -and (Get-Field $progress 'state') -eq 'failed') { $state = 'failed' }
        if (-not $Problem -and $null -eq $progress) {
            if ($state -eq 'pending') { $Problem = 'not_started' }
            elseif ($state -eq 'running') { $Problem = 'no_progress_yet' }
        }
    }
    $headlines = Get-Field $result 'headlines'
    if ($null -eq $headlines) { $headlines = New-Object PSObject }
    $shownProblem = $null
    if ($Problem) { $shownProblem = $Problem }
    [pscustomobject]@{
        PipelineId      = $PipelineId
        State           = $state
        JobStatus       = $status
        SubmissionId    = $submission
        Attempts        = $Jobs.Count
        Phase           = Get-Field $progress 'phase'
        Percent         = Get-Number $progress 'percent'
        CellsDone       = Get-Number $progress 'cells_done'
        CellsTotal      = Get-Number $progress 'cells_total'
        TokensPerSecond = Get-Number $progress 'tokens_per_second'
        ElapsedSeconds  = Get-Number $progress 'elapsed_s'
        SecondsLeft     = Get-Number $progress 'seconds_left'
        CpuPercent      = Get-Number $progress 'cpu_percent'
        MemoryBytes     = Get-Number $progress 'memory_bytes'
        ProcessId       = Get-Number $progress 'process_id'
        Workers         = Get-Number $progress 'workers'
        WorkingOn       = @(Get-Field $progress 'working_on')
        Failures        = @(Get-Field $progress 'failures' | ForEach-Object { [pscustomobject]@{ Unit = [string](Get-Field $_ 'unit'); Error = [string](Get-Field $_ 'error') } })
        UpdatedAt       = Get-Field $progress 'updated_at'
        Nodes           = @($Nodes | ForEach-Object { ConvertTo-NodeView $_ })
        Headlines       = $headlines
        Verdicts        = @(Get-Field $result 'arms' | Where-Object { Get-Field $_ 'verdict' } | ForEach-Object { [pscustomobject]@{ Arm = [string](Get-Field $_ 'name'); Verdict = [string](Get-Field $_ 'verdict') } })
        Problem         = $shownProblem
        Result          = $result
    }
}
