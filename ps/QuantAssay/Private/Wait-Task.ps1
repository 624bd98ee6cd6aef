function Wait-Task {
    # Wait for a .NET task in short steps, so that Ctrl-C is seen. Return whether it ended in time.
    param($Task, [datetime]$Deadline)
    while (-not $Task.IsCompleted) {
        if ([datetime]::UtcNow -ge $Deadline) { return $false }
        try {
            [void]$Task.Wait(50)
        } catch {
            # The task has failed; whoever asked looks at its state.
            return $true
        }
    }
    return $true
}
