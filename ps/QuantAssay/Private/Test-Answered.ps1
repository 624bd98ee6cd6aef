function Test-Answered {
    # Return whether a view comes from answers of the dashboard, and not from a look before.
    param($View)
    $missing = @('dashboard_unreachable', 'dashboard_timed_out', 'token_missing', 'token_wrong', 'too_many_requests', 'no_dashboard', 'dashboard_error')
    return ($missing -notcontains $View.Problem)
}
