function Format-Used {
    # Return how many of all bytes are used, in GiB.
    param($Used, $Total)
    return (Format-Tenth ([double]$Used / 1073741824)) + '/' + (Format-Gib $Total)
}
