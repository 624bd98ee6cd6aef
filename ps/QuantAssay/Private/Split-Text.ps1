function Split-Text {
    # Break a text at any character, but at the last space of a line if one is near its end.
    param([string]$Text, [int]$Width)
    $line = ''
    foreach ($character in @(Split-CodePoint (Clear-Text $Text))) {
        if ((Measure-Text ($line + $character)) -gt $Width) {
            $place = $line.LastIndexOf(' ')
            $word = $line.Substring($place + 1)
            if ($place -ge 0 -and $character -ne ' ' -and (Measure-Text $word) -lt [math]::Floor($Width / 2)) {
                $line.Substring(0, $place)
                $line = $word
            } else {
                $line.TrimEnd(' ')
                $line = ''
            }
        }
        if (-not ($character -eq ' ' -and $line -eq '')) { $line += $character }
    }
    if ($line -ne '') { $line }
}
