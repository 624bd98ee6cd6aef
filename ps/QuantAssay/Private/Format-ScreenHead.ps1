function Format-ScreenHead {
    # Return title, id and bar: on one line if there is room for a bar, else on two or three.
    param($View, [int]$Width, [string]$Language)
    $title = Format-Text 'title' $Language
    $name = [string]$View.PipelineId
    $words = "$title  $name"
    $fits = (Measure-Text $words) -le $Width
    $share = ''
    if ($null -ne $View.Percent) {
        $share = ' {0}%' -f (Format-Whole $View.Percent)
        $room = $Width - (Measure-Text $words) - 4 - $share.Length
        if ($room -ge 12) {
            $words + '  ' + (Get-BarText $View.Percent ([math]::Min($room, 40))) + $share
            return
        }
    }
    if ($fits) {
        $words
    } else {
        $title
        $name
    }
    if ($null -ne $View.Percent) { (Get-BarText $View.Percent ([math]::Min($Width - 2 - $share.Length, 40))) + $share }
}
