function Test-Redirected {
    # Return whether the output of this process goes to a file or another program.
    try {
        return [Console]::IsOutputRedirected
    } catch {
        return $false
    }
}
