function ConvertTo-Count {
    # Return a number rounded down; null if it is no number.
    param($Value)
    $number = ConvertTo-FiniteNumber $Value
    if ($null -eq $number) { return $null }
    return [long][math]::Floor([double]$number)
}
