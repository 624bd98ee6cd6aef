function Write-Screen {
    # Write the lines over those that were written before, in one piece, so that nothing flickers. Return how many lines the
    # screen has now.
    param([string[]]$Lines, [int]$Before, [int]$Width)
    $room = [math]::Max([Console]::WindowHeight - 1, 1)
    $shown = @($Lines | Select-Object -First $room)
    $count = [math]::Max($shown.Count, [math]::Min($Before, $room))
    $text = New-Object System.Text.StringBuilder
    for ($index = 0; $index -lt $count; $index++) {
        $line = ''
        if ($index -lt $shown.Count) { $line = $shown[$index] }
        [void]$text.Append($line)
        [void]$text.Append(' ' * [math]::Max($Width - (Measure-Text $line), 0))
        [void]$text.Append([Environment]::NewLine)
    }
    [Console]::SetCursorPosition(0, [math]::Max([Console]::CursorTop - [math]::Min($Before, $room), 0))
    [Console]::Write($text.ToString())
    return $count
}
