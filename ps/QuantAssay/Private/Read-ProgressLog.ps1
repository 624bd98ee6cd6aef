function Read-ProgressLog {
    # Return the newest progress and the result of a pipeline in the end of a log. Broken lines and those of other
    # programs are skipped. An empty PipelineId takes whichever comes last.
    param([string]$Log, [string]$PipelineId)
    $progress = $null
    $result = $null
    $lines = $Log -split "`r?`n"
    for ($index = $lines.Count - 1; $index -ge 0 -and $null -eq $progress; $index--) {
        $line = $lines[$index]
        $isProgress = $line.StartsWith('PROGRESS ', [System.StringComparison]::Ordinal)
        $isResult = $line.StartsWith('RESULT ', [System.StringComparison]::Ordinal)
        if (-not $isProgress -and -not ($isResult -and $null -eq $result)) { continue }
        $parsed = @(ConvertFrom-JsonText $line.Substring($line.IndexOf(' ') + 1))
        if ($parsed.Count -ne 1) { continue }
        $id = Get-Field $parsed[0] 'pipeline_id'
        if ($id -isnot [string] -or ($PipelineId -and $id -cne $PipelineId)) { continue }
        if ($isProgress) { $progress = $parsed[0] } else { $result = $parsed[0] }
    }
    New-Object PSObject -Property @{ Progress = $progress; Result = $result }
}
