function Get-Pause {
    # Return the seconds until the next look: twice as long as before if the dashboard is asked too often.
    param($View, [double]$Last, [double]$Usual)
    if ($View.Problem -eq 'too_many_requests') { return [math]::Max([math]::Min(2 * $Last, 60), $Usual) }
    return $Usual
}
