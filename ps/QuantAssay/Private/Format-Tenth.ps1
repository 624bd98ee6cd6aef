function Format-Tenth {
    # Return a number with one decimal, rounded half up.
    param($Value)
    $tenths = [long][math]::Floor(10 * [double]$Value + 0.5)
    return '{0}.{1}' -f [long][math]::Floor($tenths / 10), ($tenths % 10)
}
