function Test-InRange {
    # Return whether a code point is in one of the sorted ranges.
    param([int]$CodePoint, [object[]]$Ranges)
    $low = 0
    $high = $Ranges.Count - 1
    while ($low -le $high) {
        $middle = [int][math]::Floor(($low + $high) / 2)
        $range = $Ranges[$middle]
        if ($CodePoint -lt $range[0]) { $high = $middle - 1 }
        elseif ($CodePoint -gt $range[1]) { $low = $middle + 1 }
        else { return $true }
    }
    return $false
}
