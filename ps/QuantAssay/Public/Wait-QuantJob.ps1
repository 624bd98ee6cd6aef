function Wait-QuantJob {
    <#
.SYNOPSIS
    Waits until a pipeline has ended, and returns its last progress.
.DESCRIPTION
    A dashboard that does not answer for a while is asked again. If it refuses the token at the first look, or is no
    dashboard, or does not know the pipeline, that is an error at once.
.PARAMETER PipelineId
    Id of the pipeline.
.PARAMETER Timeout
    Seconds to wait at most; 0: no limit. It is an error if the pipeline has not ended by then.
.PARAMETER Interval
    Seconds between two looks.
.PARAMETER Address
    Address of the Ray dashboard. A path in front of its API is kept.
.PARAMETER Token
    Token of the cluster, as a SecureString. Without it, it is taken from where Ray looks: RAY_AUTH_TOKEN, the file that
    RAY_AUTH_TOKEN_PATH names, ~/.ray/auth_token.
.PARAMETER SkipCertificateCheck
    Accept any TLS certificate. PowerShell 7 only.
.EXAMPLE
    Wait-QuantJob -PipelineId demo -Timeout 3600
    Waits for one hour at most.
.EXAMPLE
    if ((Wait-QuantJob -PipelineId demo).State -eq 'done') { Get-QuantResult -PipelineId demo }
    Shows the results as soon as they are there.
#>
    [CmdletBinding()]
    param(
        # Id of the pipeline.
        [Parameter(Mandatory = $true, Position = 0)]
        [Alias('Id')]
        [ValidateNotNullOrEmpty()]
        [string]$PipelineId,
        [ValidateRange(0, 31536000)]
        [double]$Timeout = 0,
        [ValidateRange(0.1, 3600)]
        [double]$Interval = 5,
        # Address of the dashboard.
        [string]$Address = $script:DefaultAddress,
        # Token of the cluster. Without it, it is taken from where Ray looks: RAY_AUTH_TOKEN, the file of
        # RAY_AUTH_TOKEN_PATH, ~/.ray/auth_token.
        [securestring]$Token,
        # Accept any TLS certificate. PowerShell 7 only.
        [switch]$SkipCertificateCheck
    )
    $clock = [System.Diagnostics.Stopwatch]::StartNew()
    $dashboard = Connect-Dashboard -Address $Address -Token $Token -SkipCertificateCheck:$SkipCertificateCheck
    $view = $null
    $hasAnswered = $false
    $pause = $Interval
    try {
        while ($true) {
            $view = Get-PipelineView $dashboard $PipelineId $view
            if (Test-Answered $view) { $hasAnswered = $true }
            if (Test-Ended $view) { break }
            if ($view.Problem -eq 'no_such_pipeline' -or (-not $hasAnswered -and (Test-Hopeless $view))) {
                $PSCmdlet.ThrowTerminatingError((New-ProblemError $view.Problem $PipelineId))
            }
            if ($Timeout -gt 0 -and $clock.Elapsed.TotalSeconds -ge $Timeout) {
                $PSCmdlet.ThrowTerminatingError((New-QuantError -Code 'timed_out' -Message "Pipeline '$PipelineId' has not ended within $Timeout seconds. Its state is '$($view.State)'." -Category 'OperationTimeout' -Target $PipelineId))
            }
            $pause = Get-Pause $view $pause $Interval
            $seconds = $pause
            if ($Timeout -gt 0) { $seconds = [math]::Min($pause, [math]::Max($Timeout - $clock.Elapsed.TotalSeconds, 0)) }
            Start-Sleep -Milliseconds ([int](1000 * $seconds))
        }
    } finally {
        $dashboard.Client.Dispose()
    }
    $view | Select-Object -Property * -ExcludeProperty 'Result'
}
