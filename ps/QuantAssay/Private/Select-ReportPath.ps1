function Select-ReportPath {
    # Return the path of an output that RESULT names: in the wanted language, else without one, else in the other.
    param($Result, [string]$Name, [string]$Language)
    $files = Get-Field $Result 'files'
    $other = 'en'
    if ($Language -eq 'en') { $other = 'ja' }
    foreach ($key in "${Name}_$Language", $Name, "${Name}_$other") {
        $path = Get-String $files $key
        if ($path) { return $path }
    }
}
