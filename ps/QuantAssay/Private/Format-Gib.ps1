function Format-Gib {
    # Return a number of bytes in GiB.
    param($Bytes)
    return (Format-Tenth ([double]$Bytes / 1073741824)) + ' GiB'
}
