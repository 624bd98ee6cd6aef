function Test-Hopeless {
    # Return whether the problem of a first look does not go away by itself. Later, a dashboard that starts again may
    # have the same ones.
    param($View)
    return (@('token_missing', 'token_wrong', 'no_dashboard') -contains $View.Problem)
}
