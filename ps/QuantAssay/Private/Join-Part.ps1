function Join-Part {
    # Put parts side by side, and go on with the next line, behind the indent, where one has no room.
    param([string[]]$Parts, [string]$Gap, [int]$Width, [string]$Indent = '')
    $line = ''
    $isFirst = $true
    foreach ($part in $Parts) {
        if ($isFirst) {
            $line = $part
            $isFirst = $false
        } elseif ((Measure-Text $line) + $Gap.Length + (Measure-Text $part) -le $Width) {
            $line += $Gap + $part
        } else {
            $line
            $line = $Indent + $part
        }
    }
    if (-not $isFirst) { $line }
}
