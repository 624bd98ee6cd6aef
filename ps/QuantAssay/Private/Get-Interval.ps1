function Get-Interval {
    # Return the two ends of an interval of an object from JSON; null where there is none.
    param($Object, [string]$Name)
    $ends = @(Get-Field $Object $Name)
    $low = $null
    $high = $null
    if ($ends.Count -eq 2) {
        $low = ConvertTo-FiniteNumber $ends[0]
        $high = ConvertTo-FiniteNumber $ends[1]
    }
    return [pscustomobject]@{ Low = $low; High = $high }
}
