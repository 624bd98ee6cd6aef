function Get-Number {
    # Return a finite number of an object from JSON; null for anything else, because a log may hold lines of any program.
    param($Object, [string]$Name)
    return (ConvertTo-FiniteNumber (Get-Field $Object $Name))
}
