function Find-ProcessView {
    # Return the view of the running pipeline whose driver has a process id, among the ten newest; nothing if there is none.
    param($Dashboard, [int]$ProcessId)
    $listed = Get-JobList $Dashboard
    $running = @($listed.Jobs | Where-Object { (Get-String $_ 'status') -ceq 'RUNNING' } | Sort-Object -Property @{ Expression = { [double](Get-Number $_ 'start_time') }; Descending = $true } | Select-Object -First 10)
    foreach ($job in $running) {
        $id = Get-JobPipelineId $job
        if (-not $id) { continue }
        $view = Get-PipelineView $Dashboard $id
        if ($view.ProcessId -eq $ProcessId) { return $view }
    }
}
