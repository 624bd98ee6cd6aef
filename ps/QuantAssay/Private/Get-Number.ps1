function Get-Number {
    # Return a number of an object from JSON; null for anything else, because a log may hold lines of any program.
    param($Object, [string]$Name)
    $value = Get-Field $Object $Name
    if ($value -is [int] -or $value -is [long] -or $value -is [double] -or $value -is [decimal]) { return $value }
    return $null
}
