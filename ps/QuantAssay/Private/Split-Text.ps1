function Split-Text {
    # Break a text at any character, but at the last space of a line if one is near its end. No line begins with a
    # Japanese character that closes something: the character before it goes along.
    param([string]$Text, [int]$Width)
    $line = ''
    $used = 0
    foreach ($character in @(Split-CodePoint (Clear-Text $Text))) {
        $columns = Measure-Text $character
        if ($used + $columns -gt $Width) {
            $place = $line.LastIndexOf([char]' ')
            $word = $line.Substring($place + 1)
            if ($place -ge 0 -and $character -cne ' ' -and (Measure-Text $word) -lt [math]::Floor($Width / 2)) {
                $line.Substring(0, $place)
                $line = $word
            } elseif ($character.Length -eq 1 -and $script:Widths.closing -contains [int]$character[0]) {
                $last = @(Split-CodePoint $line)[-1]
                $line.Substring(0, $line.Length - $last.Length)
                $line = $last
            } else {
                $line
                $line = ''
            }
            $used = Measure-Text $line
        }
        if ($character -cne ' ' -or $line.Length -gt 0) {
            $line += $character
            $used += $columns
        }
    }
    if ($line.Length -gt 0) { $line }
}
