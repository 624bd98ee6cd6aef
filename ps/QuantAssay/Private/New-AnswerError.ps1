function New-AnswerError {
    # Return an error record for an answer other than 200, with what the dashboard says.
    param($Answer, [string]$Target = '')
    $known = @('dashboard_unreachable', 'dashboard_timed_out', 'token_missing', 'token_wrong', 'too_many_requests')
    if ($known -contains $Answer.Problem) { return (New-ProblemError $Answer.Problem $Target) }
    $text = Limit-Text (Clear-Text $Answer.Text) 300
    return (New-QuantError -Code 'dashboard_refused' -Message ('The dashboard answered with status {0}: {1}' -f $Answer.Status, $text) -Target $Target)
}
