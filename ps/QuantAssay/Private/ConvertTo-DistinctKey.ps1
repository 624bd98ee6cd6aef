function ConvertTo-DistinctKey {
    # Return a JSON text in which no two keys differ in nothing but case, and none is empty: PowerShell's objects cannot
    # hold both http_proxy and HTTP_PROXY, which stand in the environment of many jobs. The spelling with the most small
    # letters keeps its name, the others get a number.
    param([string]$Text)
    $strings = [regex]::Matches($Text, '"((?>[^"\\]*(?:\\.[^"\\]*)*))"(\s*:)?')
    $kept = New-Object 'System.Collections.Generic.Dictionary[string,string]' -ArgumentList ([System.StringComparer]::OrdinalIgnoreCase)
    foreach ($found in $strings) {
        $key = $found.Groups[1].Value
        if (-not $found.Groups[2].Success) { continue }
        if (-not $kept.ContainsKey($key) -or [string]::CompareOrdinal($key, $kept[$key]) -gt 0) { $kept[$key] = $key }
    }
    $distinct = New-Object System.Text.StringBuilder
    $end = 0
    $number = 0
    foreach ($found in $strings) {
        $key = $found.Groups[1].Value
        if (-not $found.Groups[2].Success -or ($key -and [string]::Equals($key, $kept[$key]))) { continue }
        $number++
        [void]$distinct.Append($Text.Substring($end, $found.Index - $end)).Append('"' + $key + '#' + $number + '":')
        $end = $found.Index + $found.Length
    }
    return $distinct.ToString() + $Text.Substring($end)
}
