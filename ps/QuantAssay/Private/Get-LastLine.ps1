function Get-LastLine {
    # Return the last five lines of a log that are not blank.
    param([string]$Log)
    @($Log -split "`r?`n") | Where-Object { $_.Trim(' ') } | Select-Object -Last 5
}
