function New-DashboardAnswer {
    # Return what came of a request.
    param([int]$Status = 0, [string]$Text = '', [string]$Problem = '', [bool]$IsCut = $false)
    return [pscustomobject]@{ Status = $Status; Text = $Text; Problem = $Problem; IsCut = $IsCut }
}
