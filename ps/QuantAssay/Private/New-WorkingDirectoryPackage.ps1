function New-WorkingDirectoryPackage {
    # Return the packed files of a folder, as Ray wants a working directory, and the name under which Ray keeps it. The same
    # files give the same name.
    param([string]$Folder)
    Add-Type -AssemblyName System.IO.Compression
    $memory = New-Object System.IO.MemoryStream
    $archive = New-Object System.IO.Compression.ZipArchive -ArgumentList $memory, ([System.IO.Compression.ZipArchiveMode]::Create), $true
    $day = New-Object System.DateTimeOffset -ArgumentList 1980, 1, 2, 0, 0, 0, ([timespan]::Zero)
    try {
        foreach ($file in @(Get-PackageFile $Folder | Sort-Object -Property Name -CaseSensitive)) {
            $entry = $archive.CreateEntry($file.Name)
            $entry.LastWriteTime = $day
            # Mode 0644 for the machines that unpack it. Old .NET has no such property.
            if ($null -ne $entry.PSObject.Properties['ExternalAttributes']) { $entry.ExternalAttributes = -2119958528 }
            $target = $entry.Open()
            $source = [System.IO.File]::OpenRead($file.Path)
            try {
                $source.CopyTo($target)
            } finally {
                $source.Dispose()
                $target.Dispose()
            }
            if ($memory.Length -gt 104857600) {
                throw (New-Object System.InvalidOperationException -ArgumentList "-WorkingDirectory: the packed files are larger than 100 MiB, which is all that Ray takes. Name what the job does not need in '.rayignore'.")
            }
        }
    } finally {
        $archive.Dispose()
    }
    $bytes = $memory.ToArray()
    $sha = [System.Security.Cryptography.SHA256]::Create()
    $hash = -join @($sha.ComputeHash($bytes) | Select-Object -First 20 | ForEach-Object { $_.ToString('x2', [cultureinfo]::InvariantCulture) })
    $sha.Dispose()
    return [pscustomobject]@{ Name = "_ray_pkg_$hash.zip"; Bytes = $bytes }
}
