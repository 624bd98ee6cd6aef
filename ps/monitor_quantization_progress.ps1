# The name that users of the earlier pipeline know. It starts Monitor-QuantizationProgress.ps1 with the same parameters.
Set-StrictMode -Version Latest
$finished = $false
try {
    & ([System.IO.Path]::Combine($PSScriptRoot, 'Monitor-QuantizationProgress.ps1')) @args
    $finished = $true
} finally {
    if (-not $finished) { exit 130 }
}
exit $LASTEXITCODE
