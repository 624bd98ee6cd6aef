function Show-QuantizationProgress {
    <#
.SYNOPSIS
    Shows a running pipeline: phase, cells done, speed, times, failures, the use of resources, and the verdicts at its end.
.DESCRIPTION
    On a console the screen is overwritten in place. If the output is redirected, a line is written for each change. A host
    without a console of its own (the ISE, a remote session) shows its progress display and these lines. The viewer goes on
    while the dashboard is away, and says so; Ctrl-C ends it, and not the pipeline.
.PARAMETER PipelineId
    Id of the pipeline.
.PARAMETER UpdateInterval
    Seconds between two looks.
.PARAMETER Once
    Show the state once.
.PARAMETER Language
    Language of the screen: ja or en.
.PARAMETER PassThru
    Return the last progress as an object.
.PARAMETER Address
    Address of the Ray dashboard. A path in front of its API is kept.
.PARAMETER Token
    Token of the cluster, as a SecureString. Without it, it is taken from where Ray looks: RAY_AUTH_TOKEN, the file that
    RAY_AUTH_TOKEN_PATH names, ~/.ray/auth_token.
.PARAMETER SkipCertificateCheck
    Accept any TLS certificate. PowerShell 7 only.
.EXAMPLE
    Show-QuantizationProgress -PipelineId demo -Language ja
    Shows the pipeline demo until it ends, in Japanese.
.EXAMPLE
    Show-QuantizationProgress -PipelineId demo -Address https://ray.example:8265 -Token (Read-Host -AsSecureString) -Once
    Shows the state once, and asks for the token.
#>
    [CmdletBinding()]
    param(
        # Id of the pipeline.
        [Parameter(Mandatory = $true, Position = 0)]
        [Alias('Id')]
        [ValidateNotNullOrEmpty()]
        [string]$PipelineId,
        [ValidateRange(0.5, 3600)]
        [double]$UpdateInterval = 2,
        [switch]$Once,
        [ValidateSet('ja', 'en')]
        [string]$Language = (Get-ScreenLanguage),
        [switch]$PassThru,
        # Address of the dashboard.
        [string]$Address = $script:DefaultAddress,
        # Token of the cluster. Without it, it is taken from where Ray looks: RAY_AUTH_TOKEN, the file of
        # RAY_AUTH_TOKEN_PATH, ~/.ray/auth_token.
        [securestring]$Token,
        # Accept any TLS certificate. PowerShell 7 only.
        [switch]$SkipCertificateCheck
    )
    $dashboard = Connect-Dashboard -Address $Address -Token $Token -SkipCertificateCheck:$SkipCertificateCheck
    $encoding = $null
    try {
        # The bar and Japanese print as question marks in the encodings of old consoles.
        try {
            $encoding = [Console]::OutputEncoding
            [Console]::OutputEncoding = New-Object System.Text.UTF8Encoding -ArgumentList $false
        } catch {
            # There is no console.
            $encoding = $null
        }
        $isDrawn = Test-Drawable
        $state = [pscustomobject]@{ IsDrawn = $isDrawn; IsRedirected = (Test-Redirected); Lines = 0; Last = '' }
        if ($Once) {
            $view = Get-PipelineView $dashboard $PipelineId
            $width = 80
            if ($isDrawn) { $width = [math]::Min([math]::Max([Console]::WindowWidth - 1, 20), 160) }
            Write-Host (@(Format-PipelineScreen $view $width $Language) -join [Environment]::NewLine)
        } else {
            $view = Watch-Pipeline $dashboard $PipelineId $state $Language $UpdateInterval
        }
    } finally {
        $dashboard.Client.Dispose()
        if ($null -ne $encoding) { [Console]::OutputEncoding = $encoding }
    }
    if ($PassThru) { $view | Select-Object -Property * -ExcludeProperty 'Result' }
}
