function ConvertFrom-JsonText {
    # Return the value of a JSON text in a list of one element, because an array would be unrolled; an empty list if the
    # text is no JSON. ConvertFrom-Json throws for some broken texts and returns a string for others.
    param([string]$Text)
    $trimmed = $Text.TrimStart()
    if (-not ($trimmed.StartsWith('{') -or $trimmed.StartsWith('['))) { return }
    try {
        $value = ConvertFrom-Json -InputObject $Text
    } catch {
        return
    }
    if ($value -is [string]) { return }
    , @($value)
}

function Get-JobList {
    # Return an object with the list of all jobs, or with the problem.
    param($Dashboard)
    $answer = Invoke-Dashboard $Dashboard 'api/jobs/'
    $problem = $answer.Problem
    $jobs = @()
    if (-not $problem) {
        if ($answer.IsCut -or -not $answer.Text.TrimStart().StartsWith('[')) { $problem = 'no_dashboard' }
        else {
            $parsed = ConvertFrom-JsonText $answer.Text
            if ($null -eq $parsed -and $answer.Text.Trim() -ne '[]') { $problem = 'no_dashboard' }
            else { $jobs = @($parsed | Where-Object { $null -ne $_ }) }
        }
    }
    New-Object PSObject -Property @{ Jobs = $jobs; Problem = $problem }
}

function Get-NodeList {
    # Return an object with the use of each node, or with the problem.
    param($Dashboard)
    $answer = Invoke-Dashboard $Dashboard 'nodes?view=summary'
    $problem = $answer.Problem
    $nodes = @()
    if (-not $problem) {
        $parsed = @(ConvertFrom-JsonText $answer.Text)
        $data = $null
        if ($parsed.Count -gt 0) { $data = Get-Field $parsed[0] 'data' }
        if ($answer.IsCut -or $null -eq $data -or $null -eq $data.PSObject.Properties['summary']) { $problem = 'no_dashboard' }
        else { $nodes = @($data.summary | Where-Object { $null -ne $_ }) }
    }
    New-Object PSObject -Property @{ Nodes = $nodes; Problem = $problem }
}

function Get-LogTail {
    # Return an object with the last lines of a job's log, at most 100 KB (fewer lines if they are long), or the problem.
    param($Dashboard, [string]$NodeId, [string]$SubmissionId, [int]$Lines)
    while ($true) {
        $path = 'api/v0/logs/file?node_id={0}&submission_id={1}&filter_ansi_code=true&lines={2}' -f [uri]::EscapeDataString($NodeId), [uri]::EscapeDataString($SubmissionId), $Lines
        $answer = Invoke-Dashboard $Dashboard $path -MaxBytes 102400
        if (-not $answer.IsCut -or $answer.Problem) { break }
        if ($Lines -eq 1) {
            $answer.Text = ''
            break
        }
        $Lines = [math]::Max(1, [int][math]::Floor($Lines / 8))
    }
    $text = ''
    if (-not $answer.Problem) { $text = $answer.Text }
    New-Object PSObject -Property @{ Text = $text; Problem = $answer.Problem }
}
