<#
.SYNOPSIS
    Shows a running pipeline until it ends. It is Show-QuantizationProgress as a script, with exit codes.
.DESCRIPTION
    Exit codes: 0 the pipeline is done (or goes on, with -Once); 1 it failed, or cannot be watched; 2 bad input, which
    includes an unknown id; 3 it was stopped; 130 Ctrl-C. In a folder from the internet, allow scripts first:
    Set-ExecutionPolicy -Scope CurrentUser RemoteSigned
.PARAMETER PipelineId
    Id of the pipeline.
.PARAMETER Address
    Address of the Ray dashboard (default http://127.0.0.1:8265).
.PARAMETER Token
    Token of the cluster, as a SecureString. Without it, it is taken from where Ray looks: RAY_AUTH_TOKEN, the file that
    RAY_AUTH_TOKEN_PATH names, ~/.ray/auth_token.
.PARAMETER UpdateInterval
    Seconds between two looks, 0.5 to 3600 (default 2).
.PARAMETER Once
    Show the state once.
.PARAMETER Language
    Language of the screen: ja or en (default: the language of the session).
.PARAMETER SkipCertificateCheck
    Accept any TLS certificate. PowerShell 7 only.
.EXAMPLE
    ./ps/Monitor-QuantizationProgress.ps1 -PipelineId demo -Language ja
    Shows the pipeline demo in Japanese.
#>
[CmdletBinding()]
param(
    # No parameter is mandatory or has a type that refuses a value: bad input ends with exit code 2, and PowerShell's own
    # checks would end with 1.
    [Alias('Id')]
    $PipelineId,
    $Address = 'http://127.0.0.1:8265',
    $Token,
    $UpdateInterval = 2,
    [switch]$Once,
    $Language,
    [switch]$SkipCertificateCheck,
    [Parameter(ValueFromRemainingArguments = $true)]
    $Rest
)
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
[cultureinfo]::CurrentCulture = [cultureinfo]::InvariantCulture

function Find-Fault {
    # Return what is wrong with the input, in one sentence; nothing if all is right. No value is repeated: it may be a
    # token in the wrong place.
    if (-not $PipelineId) { return '-PipelineId: give the id of a pipeline.' }
    if ($null -ne $Rest -and @($Rest).Count -gt 0) { return 'There are more arguments than parameters. All of them: Get-Help ./ps/Monitor-QuantizationProgress.ps1 -Detailed' }
    if ($null -ne $Token -and $Token -isnot [securestring]) { return '-Token: give a SecureString, as Read-Host -AsSecureString returns it, or set RAY_AUTH_TOKEN.' }
    $seconds = $UpdateInterval -as [double]
    if ($null -eq $seconds -or -not ($seconds -ge 0.5 -and $seconds -le 3600)) { return '-UpdateInterval: give 0.5 to 3600 seconds.' }
    if ($null -ne $Language -and @('ja', 'en') -notcontains $Language) { return '-Language: give ja or en.' }
}

$finished = $false
$code = 1
try {
    $fault = Find-Fault
    if ($fault) {
        [Console]::Error.WriteLine($fault)
        $code = 2
    } else {
        Import-Module ([System.IO.Path]::Combine($PSScriptRoot, 'QuantAssay', 'QuantAssay.psd1')) -Force
        $options = @{ PipelineId = [string]$PipelineId; Address = [string]$Address; UpdateInterval = ($UpdateInterval -as [double]); Once = $Once; SkipCertificateCheck = $SkipCertificateCheck; PassThru = $true }
        if ($null -ne $Token) { $options['Token'] = $Token }
        if ($null -ne $Language) { $options['Language'] = [string]$Language }
        $view = Show-QuantizationProgress @options
        if ($view.Problem -eq 'no_such_pipeline') { $code = 2 }
        elseif ($view.State -eq 'stopped') { $code = 3 }
        elseif ($view.State -eq 'failed' -or $view.State -eq 'unknown') { $code = 1 }
        elseif ($view.State -eq 'done' -or $Once) { $code = 0 }
    }
    $finished = $true
} catch [System.ArgumentException] {
    [Console]::Error.WriteLine($_.Exception.Message)
    $code = 2
    $finished = $true
} catch {
    [Console]::Error.WriteLine($_.Exception.Message)
    $finished = $true
} finally {
    # Ctrl-C runs nothing but this, and would end with 0.
    if (-not $finished) { exit 130 }
}
exit $code
