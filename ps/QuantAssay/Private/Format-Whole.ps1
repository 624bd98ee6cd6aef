function Format-Whole {
    # Round half up. .NET formats halves in other ways from version to version.
    param($Value)
    return [long][math]::Floor([double]$Value + 0.5)
}
