function Get-Field {
    # Return a property of an object from JSON; nothing if it is missing or null. Under strict mode, a property that
    # does not exist would be an error, and so is an empty name always.
    param($Object, [string]$Name)
    if ($null -eq $Object -or -not $Name) { return }
    $property = $Object.PSObject.Properties[$Name]
    if ($null -eq $property -or $null -eq $property.Value) { return }
    $property.Value
}
