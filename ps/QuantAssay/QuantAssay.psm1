# Load the functions: one per file. Texts and widths of characters are data files, because Windows PowerShell reads
# sources without a byte-order mark in the ANSI code page; they are read as UTF-8 explicitly.
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

$script:ModuleVersion = '0.1.0'
$script:DefaultAddress = 'http://127.0.0.1:8265'
$script:Texts = [System.IO.File]::ReadAllText([System.IO.Path]::Combine($PSScriptRoot, 'texts.json'), [System.Text.Encoding]::UTF8) | ConvertFrom-Json
$script:Widths = [System.IO.File]::ReadAllText([System.IO.Path]::Combine($PSScriptRoot, 'widths.json'), [System.Text.Encoding]::UTF8) | ConvertFrom-Json

foreach ($folder in 'Private', 'Public') {
    foreach ($file in @(Get-ChildItem -LiteralPath ([System.IO.Path]::Combine($PSScriptRoot, $folder)) -Filter '*.ps1' | Sort-Object -Property Name)) {
        . $file.FullName
    }
}

Set-Alias -Name 'Get-PipelineProgress' -Value 'Get-QuantProgress'
Register-ArgumentCompleter -CommandName @('Get-QuantJob', 'Get-QuantProgress', 'Get-PipelineProgress', 'Get-QuantResult', 'Wait-QuantJob', 'Stop-QuantJob', 'Start-QuantJob', 'Open-QuantReport', 'Show-QuantizationProgress', 'Show-ResourceUsage') -ParameterName 'PipelineId' -ScriptBlock {
    param($commandName, $parameterName, $wordToComplete, $commandAst, $boundParameters)
    $given = @{}
    foreach ($name in 'Address', 'Token') {
        if ($boundParameters.Contains($name)) { $given[$name] = $boundParameters[$name] }
    }
    try {
        $known = @(Get-QuantJob @given)
    } catch {
        # Completion offers nothing where the dashboard does not answer.
        return
    }
    $known | ForEach-Object { $_.PipelineId } | Where-Object { $_ -and $_.StartsWith($wordToComplete, [System.StringComparison]::OrdinalIgnoreCase) } | Sort-Object -Unique
}
Export-ModuleMember -Function @('Get-QuantJob', 'Get-QuantProgress', 'Get-QuantResult', 'Open-QuantReport', 'Show-QuantizationProgress', 'Show-ResourceUsage', 'Start-QuantJob', 'Stop-QuantJob', 'Wait-QuantJob') -Alias @('Get-PipelineProgress')
