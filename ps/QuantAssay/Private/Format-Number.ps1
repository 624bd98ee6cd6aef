function Format-Whole {
    # Round half up. .NET formats halves in other ways from version to version.
    param($Value)
    [long][math]::Floor([double]$Value + 0.5)
}

function Format-Tenth {
    param([double]$Value)
    $tenths = [long][math]::Floor(10 * $Value + 0.5)
    '{0}.{1}' -f [long][math]::Floor($tenths / 10), ($tenths % 10)
}

function Format-Gib {
    param($Bytes)
    (Format-Tenth ([double]$Bytes / 1073741824)) + ' GiB'
}

function Format-Used {
    param($Used, $Total)
    (Format-Tenth ([double]$Used / 1073741824)) + '/' + (Format-Gib $Total)
}

function Format-Clock {
    # Return a duration as hours, minutes and seconds; the hours may be more than 24.
    param($Seconds)
    $all = [long][math]::Floor([double]$Seconds)
    '{0:00}:{1:00}:{2:00}' -f [long][math]::Floor($all / 3600), [long][math]::Floor(($all % 3600) / 60), ($all % 60)
}
