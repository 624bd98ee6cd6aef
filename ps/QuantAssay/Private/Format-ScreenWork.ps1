function Format-ScreenWork {
    # Return what is worked on, at most three lines, and how many more there are.
    param($View, [int]$Width, [string]$Language)
    foreach ($text in @($View.WorkingOn | Select-Object -First 3)) { Limit-Text ('- ' + (Clear-Text $text)) $Width }
    $hidden = $View.WorkingOn.Count - 3
    if ($hidden -gt 0) { '- ' + (Format-Text 'more' $Language @($hidden)) }
}
