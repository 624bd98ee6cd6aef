function Show-ResourceUsage {
    <#
.SYNOPSIS
    Shows the use of CPU, memory and GPUs by a pipeline and by the nodes of its cluster, or by a process of this machine.
.DESCRIPTION
    Returns lines of text. The line of the job is the use by the processes of the pipeline; CPU is in percent of one core.
    The line of a node is the use by everything that runs there.
.PARAMETER PipelineId
    Id of the pipeline.
.PARAMETER ProcessId
    Process of this machine. If this machine has none with this id: the pipeline whose driver has it.
.PARAMETER Language
    Language of the lines.
.PARAMETER Address
    Address of the Ray dashboard. A path in front of its API is kept.
.PARAMETER Token
    Token of the cluster, as a SecureString. Without it, it is taken from where Ray looks: RAY_AUTH_TOKEN, the file that
    RAY_AUTH_TOKEN_PATH names, ~/.ray/auth_token.
.PARAMETER SkipCertificateCheck
    Accept any TLS certificate. PowerShell 7 only.
.EXAMPLE
    Show-ResourceUsage -PipelineId demo
    Shows the use of resources by the pipeline demo.
.EXAMPLE
    Show-ResourceUsage -ProcessId $PID
    Shows the use of resources by this PowerShell.
#>
    [CmdletBinding(DefaultParameterSetName = 'Pipeline')]
    param(
        [Parameter(Mandatory = $true, Position = 0, ParameterSetName = 'Pipeline')]
        [Alias('Id')]
        [ValidateNotNullOrEmpty()]
        [string]$PipelineId,
        [Parameter(Mandatory = $true, ParameterSetName = 'Process')]
        [ValidateRange(1, 2147483647)]
        [int]$ProcessId,
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
    if ($PSCmdlet.ParameterSetName -eq 'Process') {
        $line = @(Get-ProcessLine $ProcessId $Language)
        if ($line.Count -gt 0) { return $line }
    }
    $dashboard = Connect-Dashboard -Address $Address -Token $Token -SkipCertificateCheck:$SkipCertificateCheck
    try {
        if ($PSCmdlet.ParameterSetName -eq 'Process') { $view = Find-ProcessView $dashboard $ProcessId }
        else { $view = Get-PipelineView $dashboard $PipelineId }
    } finally {
        $dashboard.Client.Dispose()
    }
    if ($null -eq $view) {
        $PSCmdlet.ThrowTerminatingError((New-QuantError -Code 'no_process' -Message "Neither this machine nor a running pipeline of $Address has a process $ProcessId." -Category 'ObjectNotFound' -Target $ProcessId))
    }
    if (-not (Test-Answered $view) -or $view.Problem -eq 'no_such_pipeline') {
        $PSCmdlet.ThrowTerminatingError((New-ProblemError $view.Problem $view.PipelineId))
    }
    Format-ScreenResource $view 160 $Language
}
