function Get-JobList {
    # Return an object with the list of all jobs, or with the problem.
    param($Dashboard)
    $answer = Invoke-Dashboard $Dashboard 'api/jobs/'
    $problem = $answer.Problem
    $jobs = @()
    if (-not $problem) {
        $problem = 'no_dashboard'
        $parsed = $null
        if (-not $answer.IsCut) { $parsed = ConvertFrom-JsonText $answer.Text }
        if ($null -ne $parsed -and $parsed.Value -is [array]) {
            $jobs = @($parsed.Value | Where-Object { Test-JsonObject $_ })
            if ($jobs.Count -eq $parsed.Value.Count) { $problem = '' } else { $jobs = @() }
        }
    }
    return [pscustomobject]@{ Jobs = $jobs; Problem = $problem }
}
