function Show-View {
    # Show a view: drawn over the one before, or as a line if something has changed. Keeps in State what is shown.
    param($View, $State, [string]$Language)
    if ($State.IsDrawn) {
        $width = [math]::Min([math]::Max([Console]::WindowWidth - 1, 20), 160)
        $State.Lines = Write-Screen @(Format-PipelineScreen $View $width $Language) $State.Lines $width
        return
    }
    if (-not $State.IsRedirected) { Write-ViewProgress $View $Language }
    $line = Get-SteadyLine $View $Language
    if ($line -cne $State.Last) {
        Write-Host $line
        $State.Last = $line
    }
}
