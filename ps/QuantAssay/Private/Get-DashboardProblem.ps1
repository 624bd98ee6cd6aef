function Get-DashboardProblem {
    # Return why a status other than 200 is no usable answer.
    param([string]$Path, [int]$Status)
    if ($Status -eq 500 -and $Path.StartsWith('api/v0/logs', [System.StringComparison]::Ordinal)) { return 'log_gone' }
    if ($Status -eq 401) { return 'token_missing' }
    if ($Status -eq 403) { return 'token_wrong' }
    if ($Status -eq 429) { return 'too_many_requests' }
    if ($Status -ge 500) { return 'dashboard_error' }
    return 'no_dashboard'
}
