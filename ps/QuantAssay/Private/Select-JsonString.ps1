function Select-JsonString {
    # Return the texts in a list of an object from JSON; nothing if there is no such list.
    param($Object, [string]$Name)
    if ($null -eq $Object) { return }
    $property = $Object.PSObject.Properties[$Name]
    if ($null -eq $property -or $property.Value -isnot [array]) { return }
    foreach ($one in $property.Value) {
        if ($one -is [string]) { $one }
    }
}
