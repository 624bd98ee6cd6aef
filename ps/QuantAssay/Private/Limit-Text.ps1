function Limit-Text {
    # Return a text cut to a number of columns; three dots stand for the rest.
    param([string]$Text, [int]$Width)
    if ((Measure-Text $Text) -le $Width) { return $Text }
    $kept = New-Object System.Text.StringBuilder
    $used = 0
    foreach ($character in @(Split-CodePoint $Text)) {
        $columns = Measure-Text $character
        if ($used + $columns -gt $Width - 3) { break }
        [void]$kept.Append($character)
        $used += $columns
    }
    return $kept.ToString() + '...'
}
