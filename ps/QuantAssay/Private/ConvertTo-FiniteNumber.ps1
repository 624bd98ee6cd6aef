function ConvertTo-FiniteNumber {
    # Return a number as it is; null if it is no number, or not finite.
    param($Value)
    if ($Value -is [int] -or $Value -is [long] -or $Value -is [decimal]) { return $Value }
    if ($Value -is [double] -and -not [double]::IsNaN($Value) -and -not [double]::IsInfinity($Value)) { return $Value }
    return $null
}
