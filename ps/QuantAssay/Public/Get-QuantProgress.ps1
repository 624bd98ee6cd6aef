function Get-QuantProgress {
    <#
.SYNOPSIS
    Returns the state and the progress of a pipeline as one object.
.DESCRIPTION
    The object has the state (pending, running, done, failed, stopped, unknown), the phase, percent, cells done and in
    all, times, what is worked on, failures with their reasons, the use of resources, and at the end the verdict of
    each arm. Problem says why something is missing. If the dashboard does not answer, this is an object too: its
    Problem says so.
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
    Get-QuantProgress -PipelineId demo
    Shows everything that is known of the pipeline demo.
.EXAMPLE
    while ((Get-PipelineProgress -Id demo).State -eq 'running') { Start-Sleep -Seconds 10 }
    Waits for the end of a pipeline, in the way of the earlier pipeline.
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
    $view | Select-Object -Property * -ExcludeProperty 'Result'
}
