function ConvertTo-FiniteNumber {
    # Return a number as it is; null if it is no number, not finite, or so large that no Int64 holds it: nothing that is
    # counted here is, and a conversion would fail.
    param($Value)
    if ($Value -isnot [int] -and $Value -isnot [long] -and $Value -isnot [decimal] -and $Value -isnot [double]) { return $null }
    if ([math]::Abs([double]$Value) -lt 9e18) { return $Value }
    return $null
}
