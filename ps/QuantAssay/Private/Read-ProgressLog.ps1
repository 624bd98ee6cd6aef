function Read-ProgressLog {
    # Return the newest progress and the result of a pipeline in the end of a log. Broken lines and those of other
    # programs are skipped.
    param([string]$Log, [string]$PipelineId)
    $progress = $null
    $result = $null
    $updatedAt = $null
    $lines = @($Log -split "`r?`n")
    for ($index = $lines.Count - 1; $index -ge 0 -and $null -eq $progress; $index--) {
        $line = $lines[$index]
        $isProgress = $line.StartsWith('PROGRESS {', [System.StringComparison]::Ordinal)
        $isResult = $line.StartsWith('RESULT {', [System.StringComparison]::Ordinal)
        if (-not $isProgress -and -not ($isResult -and $null -eq $result)) { continue }
        $parsed = ConvertFrom-JsonText ($line.Substring($line.IndexOf([char]'{')))
        if ($null -eq $parsed) { continue }
        $id = Get-Field $parsed.Value 'pipeline_id'
        if ($id -isnot [string] -or $id -cne $PipelineId) { continue }
        if ($isProgress) {
            $progress = $parsed.Value
            # PowerShell may read this text as a date, and lose how it was written.
            $found = [regex]::Match($line, '"updated_at":\s*"([^"\\]*)"')
            if ($found.Success) { $updatedAt = $found.Groups[1].Value }
        } else {
            $result = $parsed.Value
        }
    }
    return [pscustomobject]@{ Progress = $progress; Result = $result; UpdatedAt = $updatedAt }
}
