function Get-QuantResult {
    <#
.SYNOPSIS
    Returns the results of a finished pipeline: one object per arm and benchmark.
.DESCRIPTION
    Each object has the mean with its 95% interval and number of items, the paired difference from the reference with its
    interval, and the verdicts. They come from the RESULT line that the pipeline prints at its end.
.PARAMETER PipelineId
    Id of the pipeline.
.PARAMETER Address
    Address of the Ray dashboard. A path in front of its API is kept.
.PARAMETER Token
    Token of the cluster, as a SecureString. Without it, it is taken from where Ray looks: RAY_AUTH_TOKEN, the file that
    RAY_AUTH_TOKEN_PATH names, ~/.ray/auth_token.
.PARAMETER SkipCertificateCheck
    Accept any TLS certificate. PowerShell 7 only.
.EXAMPLE
    Get-QuantResult -PipelineId demo | Format-Table Arm, Benchmark, Mean, Low, High, Items, Verdict
    Shows a table.
.EXAMPLE
    Get-QuantResult -PipelineId demo | Where-Object Verdict -eq 'worse' | Export-Csv -Path worse.csv -NoTypeInformation
    Saves what got worse.
#>
    [CmdletBinding()]
    param(
        # Id of the pipeline.
        [Parameter(Mandatory = $true, Position = 0)]
        [Alias('Id')]
        [ValidateNotNullOrEmpty()]
        [string]$PipelineId,
        # Address of the dashboard.
        [string]$Address = $script:DefaultAddress,
        # Token of the cluster. Without it, it is taken from where Ray looks: RAY_AUTH_TOKEN, the file of
        # RAY_AUTH_TOKEN_PATH, ~/.ray/auth_token.
        [securestring]$Token,
        # Accept any TLS certificate. PowerShell 7 only.
        [switch]$SkipCertificateCheck
    )
    $dashboard = Connect-Dashboard -Address $Address -Token $Token -SkipCertificateCheck:$SkipCertificateCheck
    try {
        $view = Get-PipelineView $dashboard $PipelineId
    } finally {
        $dashboard.Client.Dispose()
    }
    $result = $view.Result
    if ($null -eq $result) {
        if ($view.Problem) { $PSCmdlet.ThrowTerminatingError((New-ProblemError $view.Problem $PipelineId)) }
        $PSCmdlet.ThrowTerminatingError((New-QuantError -Code 'no_result' -Message "Pipeline '$PipelineId' has printed no results. Its state is '$($view.State)'." -Category 'ObjectNotFound' -Target $PipelineId))
    }
    # Names of arms may differ in nothing but case: @{} would take them for one.
    $arms = New-Object System.Collections.Hashtable
    foreach ($arm in @(Select-JsonObject $result 'arms')) { $arms[[string](Get-String $arm 'name')] = $arm }
    foreach ($row in @(Select-JsonObject $result 'results')) {
        $arm = $arms[[string](Get-String $row 'arm')]
        ConvertTo-ResultRow $row $arm
    }
    $leftOut = Get-Count (Get-Field $result 'left_out') 'results'
    if ($leftOut) { Write-Warning "$leftOut more results did not fit into the log. The files of the pipeline have them." }
}
