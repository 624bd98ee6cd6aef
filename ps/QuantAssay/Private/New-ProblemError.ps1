function New-ProblemError {
    # Return an error record for a problem with the dashboard, in the language of the session.
    param([string]$Problem, [string]$PipelineId = '')
    $message = Get-Text 'problems' $Problem (Get-ScreenLanguage)
    $category = 'ConnectionError'
    if ($Problem -eq 'no_such_pipeline') { $category = 'ObjectNotFound' }
    elseif ($Problem -eq 'token_missing' -or $Problem -eq 'token_wrong') { $category = 'AuthenticationError' }
    return (New-QuantError -Code $Problem -Message $message -Category $category -Target $PipelineId)
}
