function Format-Clock {
    # Return a duration as hours, minutes and seconds; the hours may be more than 24.
    param($Seconds)
    $all = [long][math]::Floor([double]$Seconds)
    return '{0:00}:{1:00}:{2:00}' -f [long][math]::Floor($all / 3600), [long][math]::Floor(($all % 3600) / 60), ($all % 60)
}
