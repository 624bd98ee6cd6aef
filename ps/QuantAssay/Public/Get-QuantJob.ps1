function Get-QuantJob {
    <#
.SYNOPSIS
    Lists the jobs of a Ray cluster, with the pipeline that each one runs.
.DESCRIPTION
    Returns one object per job. PipelineId is empty if the job does not say which pipeline it runs: then only its
    progress tells, and Get-QuantProgress finds it all the same.
.PARAMETER PipelineId
    Only the jobs of this pipeline, from the oldest to the newest.
.PARAMETER Address
    Address of the Ray dashboard. A path in front of its API is kept.
.PARAMETER Token
    Token of the cluster, as a SecureString. Without it, it is taken from where Ray looks: RAY_AUTH_TOKEN, the file that
    RAY_AUTH_TOKEN_PATH names, ~/.ray/auth_token.
.PARAMETER SkipCertificateCheck
    Accept any TLS certificate. PowerShell 7 only.
.EXAMPLE
    Get-QuantJob | Format-Table PipelineId, Status, StartTime
    Lists all jobs of the Ray on this machine.
.EXAMPLE
    Get-QuantJob -Address http://127.0.0.1:8265 | Where-Object Status -eq 'RUNNING'
    Lists the jobs that run.
#>
    [CmdletBinding()]
    param(
        [Parameter(Position = 0)]
        [Alias('Id')]
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
        $listed = Get-JobList $dashboard
    } finally {
        $dashboard.Client.Dispose()
    }
    if ($listed.Problem) { $PSCmdlet.ThrowTerminatingError((New-ProblemError $listed.Problem)) }
    $jobs = @($listed.Jobs)
    if ($PipelineId) { $jobs = @(Select-PipelineJob $jobs $PipelineId) }
    foreach ($job in $jobs) {
        [pscustomobject]@{
            PipelineId   = Get-JobPipelineId $job
            Status       = Get-String $job 'status'
            StartTime    = ConvertFrom-EpochTime (Get-Field $job 'start_time')
            EndTime      = ConvertFrom-EpochTime (Get-Field $job 'end_time')
            SubmissionId = Get-String $job 'submission_id'
            JobId        = Get-String $job 'job_id'
            Type         = Get-String $job 'type'
            Entrypoint   = Get-String $job 'entrypoint'
            Message      = Get-String $job 'message'
        }
    }
}
