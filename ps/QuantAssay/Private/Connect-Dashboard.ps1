function Connect-Dashboard {
    # Return a client for one dashboard. It follows no redirect, which would carry the token to another place, and uses
    # no proxy for this machine's own ports. Throws an ArgumentException for an address or a token that is none.
    param([string]$Address, [securestring]$Token, [switch]$SkipCertificateCheck, [double]$Seconds = 15)
    Add-Type -AssemblyName System.Net.Http
    $allowed = "allowed: the address of a Ray dashboard, http://HOST:PORT or https://HOST:PORT, without user, password or query. By default it is $script:DefaultAddress."
    $base = $null
    $isUri = [uri]::TryCreate($Address.TrimEnd('/') + '/', [System.UriKind]::Absolute, [ref]$base)
    if (-not $isUri -or @('http', 'https') -notcontains $base.Scheme) {
        # Something else in place of an address may be a secret: it is not repeated.
        throw (New-Object System.ArgumentException -ArgumentList "-Address: $allowed")
    }
    if ($base.UserInfo -or $base.Query -or $base.Fragment) {
        $shown = $base.GetComponents([System.UriComponents]::SchemeAndServer, [System.UriFormat]::UriEscaped)
        throw (New-Object System.ArgumentException -ArgumentList "-Address: got '$shown' with more behind or before it; $allowed")
    }
    $plain = [string](Get-QuantToken -Token $Token)
    if ($plain -and $plain -cnotmatch '^[\x21-\x7e]+\z') {
        throw (New-Object System.ArgumentException -ArgumentList '-Token: it holds blanks, line ends or other characters that no token of Ray has.')
    }
    $isOld = $PSVersionTable.PSVersion.Major -lt 6
    if ($isOld -and $SkipCertificateCheck) {
        throw (New-Object System.ArgumentException -ArgumentList '-SkipCertificateCheck: it needs PowerShell 7.')
    }
    if ($isOld -and $base.Scheme -eq 'https') {
        [System.Net.ServicePointManager]::SecurityProtocol = [System.Net.ServicePointManager]::SecurityProtocol -bor [System.Net.SecurityProtocolType]::Tls12
    }
    $handler = New-Object System.Net.Http.HttpClientHandler
    $handler.AllowAutoRedirect = $false
    $handler.UseProxy = -not $base.IsLoopback
    if ($SkipCertificateCheck) {
        $handler.ServerCertificateCustomValidationCallback = [System.Net.Http.HttpClientHandler]::DangerousAcceptAnyServerCertificateValidator
    }
    $client = New-Object System.Net.Http.HttpClient -ArgumentList $handler
    $client.Timeout = [System.Threading.Timeout]::InfiniteTimeSpan
    [void]$client.DefaultRequestHeaders.TryAddWithoutValidation('User-Agent', "QuantAssay/$script:ModuleVersion")
    if ($plain) {
        $client.DefaultRequestHeaders.Authorization = New-Object System.Net.Http.Headers.AuthenticationHeaderValue -ArgumentList 'Bearer', $plain
    }
    return [pscustomobject]@{ Base = $base; Client = $client; Seconds = $Seconds }
}
