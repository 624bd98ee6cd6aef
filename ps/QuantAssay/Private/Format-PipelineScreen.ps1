function Get-BarText {
    param([double]$Percent, [int]$Width)
    $filled = [int][math]::Floor($Percent * $Width / 100)
    '[' + (([string][char]0x2588) * $filled) + (' ' * ($Width - $filled)) + ']'
}

function Format-ScreenHead {
    # Return title, id and bar: on one line if there is room for a bar, else on two or three.
    param($View, [int]$Width, [string]$Language)
    $title = Format-Text 'title' $Language
    $name = [string]$View.PipelineId
    $words = "$title  $name"
    $fits = (Measure-Text $words) -le $Width
    if ($null -eq $View.Percent) {
        if ($fits) { $words } else { $title; $name }
        return
    }
    $share = ' {0}%' -f (Format-Whole $View.Percent)
    $room = $Width - (Measure-Text $words) - 4 - $share.Length
    if ($room -ge 12) {
        $words + '  ' + (Get-BarText $View.Percent ([math]::Min($room, 40))) + $share
        return
    }
    if ($fits) { $words } else { $title; $name }
    (Get-BarText $View.Percent ([math]::Min($Width - 2 - $share.Length, 40))) + $share
}

function Format-ScreenCount {
    param($View, [string]$Language)
    Format-Text 'phase' $Language @(Get-Text 'phases' $View.Phase $Language)
    Format-Text 'cells' $Language @($View.CellsDone, $View.CellsTotal)
    Format-Text 'failed' $Language @(@($View.Failures).Count)
    if ($null -ne $View.TokensPerSecond) {
        [string]::Format([cultureinfo]::InvariantCulture, '{0:N0} tok/s', (Format-Whole $View.TokensPerSecond))
    }
    if ($View.Attempts -eq 2) { Format-Text 'attempts_once' $Language }
    elseif ($View.Attempts -gt 2) { Format-Text 'attempts' $Language @($View.Attempts - 1) }
}

function Format-ScreenList {
    # Return the first three texts, a line each, and how many more there are.
    param([string[]]$Texts, [int]$Width, [string]$Language, [string]$Mark)
    $shown = @($Texts | Select-Object -First 3)
    foreach ($text in $shown) { Limit-Text ($Mark + (Clear-Text $text)) $Width }
    $hidden = @($Texts).Count - 3
    if ($hidden -gt 0) { $Mark + (Format-Text 'more' $Language @($hidden)) }
}

function Format-ScreenResource {
    # Return the use of resources: first of the job, then of each node by everything that runs there.
    param($View, [int]$Width, [string]$Language)
    if ($null -ne $View.CpuPercent -and $View.State -eq 'running') {
        $memory = 0
        if ($null -ne $View.MemoryBytes) { $memory = $View.MemoryBytes }
        $parts = @(
            ((Format-Text 'job' $Language) + ': ' + (Format-Text 'cpu' $Language @(Format-Whole $View.CpuPercent)))
            (Format-Text 'memory' $Language @(Format-Gib $memory))
        )
        Join-Part $parts ' | ' $Width
    }
    foreach ($node in @($View.Nodes | Select-Object -First 4)) {
        $parts = @(
            ((Format-Text 'node' $Language @($node.Name)) + ': ' + (Format-Text 'cpu' $Language @(Format-Whole $node.CpuPercent)))
            (Format-Text 'memory' $Language @(Format-Used $node.MemoryUsedBytes $node.MemoryTotalBytes))
        )
        foreach ($gpu in @($node.Gpus)) {
            $text = 'GPU{0}' -f $gpu.Index
            if ($null -ne $gpu.Percent) { $text += ' {0}%' -f (Format-Whole $gpu.Percent) }
            if ($null -ne $gpu.MemoryUsedBytes -and $gpu.MemoryTotalBytes) { $text += ' ' + (Format-Used $gpu.MemoryUsedBytes $gpu.MemoryTotalBytes) }
            $parts += $text
        }
        Join-Part $parts ' | ' $Width
    }
    $hidden = @($View.Nodes).Count - 4
    if ($hidden -gt 0) { Format-Text 'more' $Language @($hidden) }
}

function Format-ScreenTime {
    param($View, [string]$Language)
    Format-Text 'elapsed' $Language @(Format-Clock $View.ElapsedSeconds)
    if ($View.State -eq 'running') {
        if ($null -eq $View.SecondsLeft) { Format-Text 'left_unknown' $Language }
        else { Format-Text 'left' $Language @(Format-Clock $View.SecondsLeft) }
    }
}

function Format-ScreenEnd {
    param($View, [int]$Width, [string]$Language)
    Format-Text 'state' $Language @(Get-Text 'states' $View.State $Language)
    foreach ($headline in @(Get-Field $View.Headlines $Language)) { Split-Text $headline $Width }
    $parts = @($View.Verdicts | ForEach-Object { $_.Arm + ': ' + (Get-Text 'verdicts' $_.Verdict $Language) })
    Join-Part $parts '   ' $Width
}

function Format-PipelineScreen {
    # Return the screen of a pipeline as lines of at most Width columns. tests/monitor has the screens that must come out.
    param($View, [int]$Width, [string]$Language)
    $lines = @(Format-ScreenHead $View $Width $Language)
    if ($null -ne $View.Phase) {
        $lines += @(Join-Part @(Format-ScreenCount $View $Language) '   ' $Width)
        $lines += @(Format-ScreenList @($View.WorkingOn) $Width $Language '- ')
    }
    $lines += @(Format-ScreenResource $View $Width $Language)
    if ($null -ne $View.ElapsedSeconds) { $lines += @(Join-Part @(Format-ScreenTime $View $Language) '   ' $Width) }
    $failures = @($View.Failures | ForEach-Object { $_.Unit + ': ' + $_.Error })
    $lines += @(Format-ScreenList $failures $Width $Language '! ')
    if ($View.State -ne 'running' -and $View.State -ne 'pending') { $lines += @(Format-ScreenEnd $View $Width $Language) }
    if ($View.Problem) { $lines += @(Split-Text ('! ' + (Get-Text 'problems' $View.Problem $Language)) $Width) }
    foreach ($line in $lines) { Limit-Text (Clear-Text $line) $Width }
}
