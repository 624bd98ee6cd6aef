function Connect-Dashboard {
    # Return a client for one dashboard. It follows no redirect, which would carry the token to another place, and uses
    # no proxy for this machine's own ports.
    param([string]$Address, [securestring]$Token, [switch]$SkipCertificateCheck)
    Add-Type -AssemblyName System.Net.Http
    $base = $null
    $isUri = [uri]::TryCreate($Address.TrimEnd('/') + '/', [System.UriKind]::Absolute, [ref]$base)
    if (-not $isUri -or @('http', 'https') -notcontains $base.Scheme -or $base.UserInfo -or $base.Query -or $base.Fragment) {
        $shown = $Address
        if ($isUri -and $base.UserInfo) { $shown = $base.GetComponents([System.UriComponents]::SchemeAndServer, [System.UriFormat]::SafeUnescaped) }
        throw (New-Object System.ArgumentException -ArgumentList "-Address: got '$shown'; allowed: the address of a Ray dashboard, http://HOST:PORT or https://HOST:PORT, without user, password or query. By default it is $script:DefaultAddress.")
    }
    if ($base.Scheme -eq 'https' -and $PSVersionTable.PSVersion.Major -lt 6) {
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
    $plain = Get-QuantToken -Token $Token
    if ($plain) {
        $client.DefaultRequestHeaders.Authorization = New-Object System.Net.Http.Headers.AuthenticationHeaderValue -ArgumentList 'Bearer', $plain
    }
    New-Object PSObject -Property @{ Base = $base; Client = $client }
}
