function Test-Drawable {
    # Return whether there is a console whose cursor can be moved.
    try {
        if ([Console]::IsOutputRedirected) { return $false }
        [void][Console]::CursorTop
        return ([Console]::WindowWidth -ge 20 -and [Console]::WindowHeight -ge 3)
    } catch {
        return $false
    }
}
