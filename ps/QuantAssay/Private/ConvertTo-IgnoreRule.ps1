function ConvertTo-IgnoreRule {
    # Return a line of .rayignore as a rule, by the grammar of .gitignore; nothing for blank lines and comments.
    param([string]$Line)
    $pattern = $Line.Trim()
    if (-not $pattern -or $pattern.StartsWith('#')) { return }
    $isNegated = $pattern.StartsWith('!')
    if ($isNegated) { $pattern = $pattern.Substring(1) }
    $isFolder = $pattern.EndsWith('/')
    $pattern = $pattern.TrimEnd('/')
    $isAnchored = $pattern.Contains('/')
    $pattern = $pattern.TrimStart('/')
    if (-not $pattern) { return }
    $regex = [regex]::Escape($pattern)
    $regex = $regex.Replace('\*\*/', '(?:.+/)?').Replace('/\*\*', '/.+').Replace('\*', '[^/]*').Replace('\?', '[^/]')
    # Escape leaves a closing bracket alone, and escapes an opening one.
    $regex = [regex]::Replace($regex, '\\\[!?([^\]]*)\]', { param($found) '[' + $found.Value.Substring(2).Replace('!', '^') })
    $start = '^'
    if (-not $isAnchored) { $start = '^(?:.+/)?' }
    return [pscustomobject]@{ Regex = $start + $regex + '\z'; IsNegated = $isNegated; IsFolder = $isFolder }
}
