@{
    RootModule        = 'QuantAssay.psm1'
    ModuleVersion     = '0.1.0'
    GUID              = '5b8f2a44-6a0e-4f0b-9d3c-2f7b1c9e8d10'
    Author            = 'Quant Assay contributors'
    Copyright         = '2026 Quant Assay contributors. Apache License 2.0.'
    Description       = 'Watch and steer Quant Assay pipelines through the REST API of a Ray dashboard.'
    PowerShellVersion = '5.1'
    FunctionsToExport = @(
        'Get-QuantJob'
        'Get-QuantProgress'
        'Get-QuantResult'
        'Open-QuantReport'
        'Show-QuantizationProgress'
        'Show-ResourceUsage'
        'Start-QuantJob'
        'Stop-QuantJob'
        'Wait-QuantJob'
    )
    CmdletsToExport   = @()
    VariablesToExport = @()
    AliasesToExport   = @('Get-PipelineProgress')
}
