function Test-Ignored {
    # Return whether the rules leave out a file or folder, named relative to the packed folder. The last match decides.
    param([string]$Name, [bool]$IsFolder, [object[]]$Rules)
    $isIgnored = $false
    foreach ($rule in $Rules) {
        if ($rule.IsFolder -and -not $IsFolder) { continue }
        if ([regex]::IsMatch($Name, $rule.Regex)) { $isIgnored = -not $rule.IsNegated }
    }
    return $isIgnored
}
