function Start-QuantJob {
    <#
.SYNOPSIS
    Starts a pipeline as a Ray job.
.DESCRIPTION
    The code of Quant Assay is a folder that the head node has (CodeFolder), or a folder of this machine that is packed
    without what its .rayignore names, and sent (WorkingDirectory, at most 100 MiB packed). Paths in the arguments are
    paths of the cluster, and absolute. To resume a pipeline, start it again with the same id and arguments.
.PARAMETER PipelineId
    Id of the pipeline.
.PARAMETER Argument
    Options of jobs.pipeline, one word each, without --pipeline-id.
.PARAMETER CodeFolder
    Absolute path of a folder on the head node.
.PARAMETER WorkingDirectory
    Folder on this machine.
.PARAMETER Python
    The Python that runs the job on the head node.
.PARAMETER SubmissionId
    Id of the job. Without it, Ray makes one.
.PARAMETER Address
    Address of the Ray dashboard. A path in front of its API is kept.
.PARAMETER Token
    Token of the cluster, as a SecureString. Without it, it is taken from where Ray looks: RAY_AUTH_TOKEN, the file that
    RAY_AUTH_TOKEN_PATH names, ~/.ray/auth_token.
.PARAMETER SkipCertificateCheck
    Accept any TLS certificate. PowerShell 7 only.
.EXAMPLE
    Start-QuantJob -PipelineId demo -CodeFolder /srv/quant-assay -Argument '--model', '/data/m.gguf', '--storage', '/data/runs'
    Starts a pipeline with code that the head node has.
.EXAMPLE
    Start-QuantJob -PipelineId demo -WorkingDirectory . -Argument '--model', '/data/m.gguf' -WhatIf
    Shows the command that would run.
#>
    [CmdletBinding(SupportsShouldProcess = $true)]
    param(
        [Parameter(Mandatory = $true, Position = 0)]
        [Alias('Id')]
        [ValidatePattern('^[A-Za-z0-9][A-Za-z0-9_.+~-]{0,127}$')]
        [string]$PipelineId,
        [string[]]$Argument = @(),
        [Parameter(Mandatory = $true, ParameterSetName = 'CodeFolder')]
        [ValidateNotNullOrEmpty()]
        [string]$CodeFolder,
        [Parameter(Mandatory = $true, ParameterSetName = 'WorkingDirectory')]
        [ValidateNotNullOrEmpty()]
        [string]$WorkingDirectory,
        [ValidateNotNullOrEmpty()]
        [string]$Python = 'python',
        [string]$SubmissionId,
        # Address of the dashboard.
        [string]$Address = $script:DefaultAddress,
        # Token of the cluster. Without it, it is taken from where Ray looks: RAY_AUTH_TOKEN, the file of
        # RAY_AUTH_TOKEN_PATH, ~/.ray/auth_token.
        [securestring]$Token,
        # Accept any TLS certificate. PowerShell 7 only.
        [switch]$SkipCertificateCheck
    )
    $words = @($Python, '-m', 'jobs.pipeline', '--pipeline-id', $PipelineId) + $Argument
    $command = @($words | ForEach-Object { ConvertTo-ShellWord $_ }) -join ' '
    # As in conf/runtime_env.yaml.
    $environment = @{ env_vars = @{ RAY_USAGE_STATS_ENABLED = '0'; PYTHONUNBUFFERED = '1'; GOMP_SPINCOUNT = '1000' } }
    $body = @{ metadata = @{ quant_assay_pipeline = $PipelineId }; runtime_env = $environment }
    if ($SubmissionId) { $body['submission_id'] = $SubmissionId }
    if ($PSCmdlet.ParameterSetName -eq 'CodeFolder') { $command = 'cd ' + (ConvertTo-ShellWord $CodeFolder) + ' && ' + $command }
    $body['entrypoint'] = $command
    if (-not $PSCmdlet.ShouldProcess($Address, "Start the job: $command")) { return }
    $dashboard = Connect-Dashboard -Address $Address -Token $Token -SkipCertificateCheck:$SkipCertificateCheck
    try {
        if ($PSCmdlet.ParameterSetName -eq 'WorkingDirectory') {
            $folder = $PSCmdlet.GetUnresolvedProviderPathFromPSPath($WorkingDirectory)
            if (-not [System.IO.Directory]::Exists($folder)) { throw (New-Object System.ArgumentException -ArgumentList "-WorkingDirectory: there is no folder '$folder'.") }
            $package = New-WorkingDirectoryPackage $folder
            $failed = Send-Package $dashboard $package
            if ($null -ne $failed) { $PSCmdlet.ThrowTerminatingError((New-AnswerError $failed $PipelineId)) }
            $environment['working_dir'] = 'gcs://' + $package.Name
        }
        $answer = Invoke-Dashboard $dashboard 'api/jobs/' -Method 'POST' -Content (ConvertTo-Json -InputObject $body -Depth 5 -Compress) -Seconds 60
    } finally {
        $dashboard.Client.Dispose()
    }
    if ($answer.Problem) { $PSCmdlet.ThrowTerminatingError((New-AnswerError $answer $PipelineId)) }
    $parsed = ConvertFrom-JsonText $answer.Text
    $started = $null
    if ($null -ne $parsed) { $started = Get-String $parsed.Value 'submission_id' }
    [pscustomobject]@{ PipelineId = $PipelineId; SubmissionId = $started; Entrypoint = $command }
}
