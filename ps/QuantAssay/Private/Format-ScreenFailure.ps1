function Format-ScreenFailure {
    # Return what failed and why, at most two lines each, and how many more there are.
    param($View, [int]$Width, [string]$Language)
    foreach ($one in @($View.Failures | Select-Object -First 3)) {
        $text = Clear-Text ('! ' + $one.Unit + ': ' + $one.Error)
        # Two lines hold less than this; errors can be very long.
        if ($text.Length -gt 4 * $Width) { $text = $text.Substring(0, 4 * $Width) }
        $folded = @(Split-Text $text $Width)
        if ($folded.Count -le 2) {
            $folded
        } else {
            $folded[0]
            Limit-Text ($folded[1] + '...') $Width
        }
    }
    $hidden = $View.Failures.Count - 3
    if ($hidden -gt 0) { '! ' + (Format-Text 'more' $Language @($hidden)) }
}
