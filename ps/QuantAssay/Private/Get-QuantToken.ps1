function Get-QuantToken {
    # Return the token as plain text: the given one, or from where Ray's own programs look; nothing if there is none.
    param([securestring]$Token)
    if ($null -ne $Token) {
        return (New-Object System.Net.NetworkCredential -ArgumentList '', $Token).Password
    }
    if ($env:RAY_AUTH_TOKEN -and $env:RAY_AUTH_TOKEN.Trim()) { return $env:RAY_AUTH_TOKEN.Trim() }
    $path = $env:RAY_AUTH_TOKEN_PATH
    if (-not $path) {
        $userHome = [System.Environment]::GetFolderPath('UserProfile')
        if (-not $userHome) { return }
        $path = [System.IO.Path]::Combine($userHome, '.ray', 'auth_token')
    }
    if (-not [System.IO.File]::Exists($path)) { return }
    try {
        $text = [System.IO.File]::ReadAllText($path, [System.Text.Encoding]::UTF8).Trim()
    } catch {
        return
    }
    if ($text) { return $text }
}
