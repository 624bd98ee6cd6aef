function Test-JsonObject {
    # Return whether a value from JSON is an object.
    param($Value)
    return ($Value -is [System.Management.Automation.PSCustomObject])
}
