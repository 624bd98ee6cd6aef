function Get-String {
    # Return a text of an object from JSON; null for anything else. PowerShell reads a text that looks like a date as one.
    param($Object, [string]$Name)
    $value = Get-Field $Object $Name
    if ($value -is [datetime]) { return $value.ToUniversalTime().ToString('yyyy-MM-ddTHH:mm:ss', [cultureinfo]::InvariantCulture) + '+00:00' }
    if ($value -is [string]) { return $value }
    return $null
}
