function Format-ScreenPlan {
    # Return the phases passed and to come, and the cells done by arm and by benchmark.
    param($View, [int]$Width, [string]$Language)
    $phases = @(foreach ($phase in $View.Phases) {
            $mark = '[ ] '
            if ($phase.State -ceq 'passed') { $mark = '[x] ' }
            elseif ($phase.State -ceq 'now') { $mark = '[>] ' }
            $mark + (Get-Text 'phases' $phase.Name $Language)
        })
    Join-Part $phases '  ' $Width
    Format-ScreenGroup $View.Arms 'arms' $Width $Language
    Format-ScreenGroup $View.Benchmarks 'benchmarks' $Width $Language
}
