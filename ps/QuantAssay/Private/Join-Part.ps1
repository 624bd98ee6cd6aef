function Join-Part {
    # Put parts side by side, and go on with the next line where one has no room.
    param([string[]]$Parts, [string]$Gap, [int]$Width)
    $line = $null
    foreach ($part in $Parts) {
        if ($null -eq $line) { $line = $part }
        elseif ((Measure-Text $line) + $Gap.Length + (Measure-Text $part) -le $Width) { $line += $Gap + $part }
        else {
            $line
            $line = $part
        }
    }
    if ($null -ne $line) { $line }
}
