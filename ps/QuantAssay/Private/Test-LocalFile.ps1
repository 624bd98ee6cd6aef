function Test-LocalFile {
    # Return whether a path names a report on this machine. The path comes from a log: a path of another machine is not
    # touched (Windows would sign in there), and nothing but documents is opened.
    param([string]$Path)
    if ($Path -cmatch '^[\\/]{2}') { return $false }
    if (@('.html', '.pdf', '.md') -notcontains [System.IO.Path]::GetExtension($Path).ToLowerInvariant()) { return $false }
    return [System.IO.File]::Exists($Path)
}
