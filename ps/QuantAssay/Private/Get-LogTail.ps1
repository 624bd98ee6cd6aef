function Get-LogTail {
    # Return an object with the last lines of a job's log, at most 100 KB (fewer lines if they are long), or the problem.
    param($Dashboard, [string]$NodeId, [string]$SubmissionId, [int]$Lines)
    $text = ''
    while ($true) {
        $path = 'api/v0/logs/file?node_id={0}&submission_id={1}&filter_ansi_code=true&lines={2}' -f [uri]::EscapeDataString($NodeId), [uri]::EscapeDataString($SubmissionId), $Lines
        $answer = Invoke-Dashboard $Dashboard $path -MaxBytes 102400
        if ($answer.Problem) { break }
        if (-not $answer.IsCut) {
            $text = $answer.Text
            break
        }
        if ($Lines -le 1) { break }
        $Lines = [math]::Max(1, [int][math]::Floor($Lines / 8))
    }
    return [pscustomobject]@{ Text = $text; Problem = $answer.Problem }
}
