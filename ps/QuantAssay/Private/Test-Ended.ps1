function Test-Ended {
    # Return whether a pipeline has ended.
    param($View)
    return ((Test-Answered $View) -and @('done', 'failed', 'stopped') -contains $View.State)
}
