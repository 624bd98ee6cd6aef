function Get-Count {
    # Return a number of an object from JSON, rounded down; null for anything else.
    param($Object, [string]$Name)
    return (ConvertTo-Count (Get-Field $Object $Name))
}
