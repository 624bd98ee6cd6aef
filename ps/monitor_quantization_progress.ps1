<#
.SYNOPSIS
    The name that users of the earlier pipeline know. It starts Monitor-QuantizationProgress.ps1 with the same parameters.
.EXAMPLE
    ./ps/monitor_quantization_progress.ps1 -PipelineId demo
    Shows the pipeline demo.
#>
[CmdletBinding()]
param(
    [Alias('Id')]
    $PipelineId,
    $Address,
    $Token,
    $UpdateInterval,
    [switch]$Once,
    $Language,
    [switch]$SkipCertificateCheck,
    [Parameter(ValueFromRemainingArguments = $true)]
    $Rest
)
Set-StrictMode -Version Latest
$finished = $false
try {
    & ([System.IO.Path]::Combine($PSScriptRoot, 'Monitor-QuantizationProgress.ps1')) @PSBoundParameters
    $finished = $true
} finally {
    if (-not $finished) { exit 130 }
}
exit $LASTEXITCODE
