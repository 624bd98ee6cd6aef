function Get-PackageFile {
    # Return the files of a folder that its .rayignore does not name. Links to folders are not followed.
    param([string]$Folder)
    $rules = @(ConvertTo-IgnoreRule '.git')
    $list = [System.IO.Path]::Combine($Folder, '.rayignore')
    if ([System.IO.File]::Exists($list)) {
        $rules += @([System.IO.File]::ReadAllLines($list, [System.Text.Encoding]::UTF8) | ForEach-Object { ConvertTo-IgnoreRule $_ })
    }
    $pending = New-Object 'System.Collections.Generic.Queue[string]'
    $pending.Enqueue('')
    while ($pending.Count -gt 0) {
        $inside = $pending.Dequeue()
        foreach ($item in @(Get-ChildItem -LiteralPath ([System.IO.Path]::Combine($Folder, $inside)) -Force)) {
            $name = $item.Name
            if ($inside) { $name = $inside + '/' + $item.Name }
            if (Test-Ignored $name $item.PSIsContainer $rules) { continue }
            if (-not $item.PSIsContainer) { [pscustomobject]@{ Name = $name; Path = $item.FullName } }
            elseif (-not ($item.Attributes -band [System.IO.FileAttributes]::ReparsePoint)) { $pending.Enqueue($name) }
        }
    }
}
