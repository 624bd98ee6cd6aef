function Stop-QuantJob {
    <#
.SYNOPSIS
    Stops a pipeline. Finished work is kept, and the pipeline can be resumed.
.DESCRIPTION
    Asks Ray to stop the newest job of the pipeline, or the given job. Ray sends SIGTERM, and SIGKILL some seconds later.
    Returns whether a running job was stopped.
.PARAMETER PipelineId
    Id of the pipeline.
.PARAMETER SubmissionId
    Id of the job, in place of the pipeline.
.PARAMETER Address
    Address of the Ray dashboard. A path in front of its API is kept.
.PARAMETER Token
    Token of the cluster, as a SecureString. Without it, it is taken from where Ray looks: RAY_AUTH_TOKEN, the file that
    RAY_AUTH_TOKEN_PATH names, ~/.ray/auth_token.
.PARAMETER SkipCertificateCheck
    Accept any TLS certificate. PowerShell 7 only.
.EXAMPLE
    Stop-QuantJob -PipelineId demo
    Stops the pipeline demo.
.EXAMPLE
    Stop-QuantJob -PipelineId demo -WhatIf
    Says which job would be stopped.
#>
    [CmdletBinding(SupportsShouldProcess = $true, DefaultParameterSetName = 'Pipeline')]
    param(
        [Parameter(Mandatory = $true, Position = 0, ParameterSetName = 'Pipeline')]
        [Alias('Id')]
        [ValidateNotNullOrEmpty()]
        [string]$PipelineId,
        [Parameter(Mandatory = $true, ParameterSetName = 'Job')]
        [ValidateNotNullOrEmpty()]
        [string]$SubmissionId,
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
        if ($PSCmdlet.ParameterSetName -eq 'Pipeline') {
            $view = Get-PipelineView $dashboard $PipelineId
            if (-not (Test-Answered $view) -or -not $view.SubmissionId) {
                $PSCmdlet.ThrowTerminatingError((New-ProblemError $view.Problem $PipelineId))
            }
            $SubmissionId = $view.SubmissionId
        }
        if (-not $PSCmdlet.ShouldProcess($SubmissionId, 'Stop the job')) { return }
        $answer = Invoke-Dashboard $dashboard ('api/jobs/{0}/stop' -f [uri]::EscapeDataString($SubmissionId)) -Method 'POST'
    } finally {
        $dashboard.Client.Dispose()
    }
    if ($answer.Problem) { $PSCmdlet.ThrowTerminatingError((New-AnswerError $answer $SubmissionId)) }
    $parsed = ConvertFrom-JsonText $answer.Text
    $stopped = $false
    if ($null -ne $parsed) { $stopped = [bool](Get-Field $parsed.Value 'stopped') }
    [pscustomobject]@{ SubmissionId = $SubmissionId; Stopped = $stopped }
}
