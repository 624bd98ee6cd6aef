function New-QuantError {
    # Return an error record. Its message never holds a token.
    param([string]$Code, [string]$Message, [string]$Category = 'InvalidOperation', $Target = $null)
    $exception = New-Object System.InvalidOperationException -ArgumentList $Message
    return (New-Object System.Management.Automation.ErrorRecord -ArgumentList $exception, $Code, ([System.Management.Automation.ErrorCategory]$Category), $Target)
}
