function Get-BarText {
    # Return a bar whose filled part is rounded down.
    param([double]$Percent, [int]$Width)
    $filled = [int][math]::Floor($Percent * $Width / 100)
    return '[' + ([string][char]0x2588 * $filled) + (' ' * ($Width - $filled)) + ']'
}
