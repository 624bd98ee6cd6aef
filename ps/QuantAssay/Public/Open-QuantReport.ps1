function Open-QuantReport {
    <#
.SYNOPSIS
    Opens the report of a finished pipeline, or its runs in MLflow.
.DESCRIPTION
    The paths are those of the cluster. If this machine does not have the file, the error says where it is.
.PARAMETER PipelineId
    Id of the pipeline.
.PARAMETER Output
    Which output: report (HTML), scorecard (PDF) or mlflow (the address of an MLflow server).
.PARAMETER Language
    Language of the document, if there is one in each.
.PARAMETER Address
    Address of the Ray dashboard. A path in front of its API is kept.
.PARAMETER Token
    Token of the cluster, as a SecureString. Without it, it is taken from where Ray looks: RAY_AUTH_TOKEN, the file that
    RAY_AUTH_TOKEN_PATH names, ~/.ray/auth_token.
.PARAMETER SkipCertificateCheck
    Accept any TLS certificate. PowerShell 7 only.
.EXAMPLE
    Open-QuantReport -PipelineId demo
    Opens the report.
.EXAMPLE
    Open-QuantReport -PipelineId demo -Output mlflow
    Opens the MLflow server that has the runs.
#>
    [CmdletBinding(SupportsShouldProcess = $true)]
    param(
        # Id of the pipeline.
        [Parameter(Mandatory = $true, Position = 0)]
        [Alias('Id')]
        [ValidateNotNullOrEmpty()]
        [string]$PipelineId,
        [ValidateSet('report', 'scorecard', 'mlflow')]
        [string]$Output = 'report',
        [ValidateSet('ja', 'en')]
        [string]$Language = (Get-ScreenLanguage),
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
    if ($null -eq $view.Result) {
        if ($view.Problem) { $PSCmdlet.ThrowTerminatingError((New-ProblemError $view.Problem $PipelineId)) }
        $PSCmdlet.ThrowTerminatingError((New-QuantError -Code 'no_result' -Message "Pipeline '$PipelineId' has printed no results. Its state is '$($view.State)'." -Category 'ObjectNotFound' -Target $PipelineId))
    }
    $path = [string](Select-ReportPath $view.Result $Output $Language)
    if (-not $path) {
        $PSCmdlet.ThrowTerminatingError((New-QuantError -Code 'no_output' -Message "Pipeline '$PipelineId' has no output '$Output'." -Category 'ObjectNotFound' -Target $PipelineId))
    }
    $site = $null
    $isSite = [uri]::TryCreate($path, [System.UriKind]::Absolute, [ref]$site) -and @('http', 'https') -contains $site.Scheme
    if (-not $isSite -and -not (Test-LocalFile $path)) {
        $PSCmdlet.ThrowTerminatingError((New-QuantError -Code 'not_here' -Message "It is on the cluster, and cannot be opened from here: $(Clear-Text $path)" -Category 'ResourceUnavailable' -Target $PipelineId))
    }
    if (-not $PSCmdlet.ShouldProcess($path, 'Open')) { return }
    if ($isSite) { Start-Process -FilePath $site.AbsoluteUri } else { Invoke-Item -LiteralPath $path }
}
