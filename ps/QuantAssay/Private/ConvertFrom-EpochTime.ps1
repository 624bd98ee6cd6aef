function ConvertFrom-EpochTime {
    # Return a local time from milliseconds since 1970; null if there are none.
    param($Milliseconds)
    $number = ConvertTo-Count $Milliseconds
    if (-not $number -or $number -lt 0 -or $number -gt 253402300799999) { return $null }
    return [DateTimeOffset]::FromUnixTimeMilliseconds($number).LocalDateTime
}
