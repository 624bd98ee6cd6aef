function Get-ViewState {
    # Return the state of a pipeline from its newest job and its progress.
    param($Job, $Progress)
    $status = [string](Get-String $Job 'status')
    if ($status -ceq 'FAILED') { return 'failed' }
    if ($status -ceq 'STOPPED') { return 'stopped' }
    if ($status -ceq 'SUCCEEDED') {
        if ((Get-String $Progress 'state') -ceq 'failed') { return 'failed' }
        return 'done'
    }
    if (Get-String $Job 'driver_node_id') { return 'running' }
    return 'pending'
}
