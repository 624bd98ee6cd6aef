function Invoke-Dashboard {
    # Make one request, and return status, text and problem. It never throws for what a dashboard does: the answer is
    # bounded in time and bytes, and decoded as UTF-8 whatever its header says. HttpClient is used because
    # Invoke-RestMethod differs between 5.1 and 7 in time limits, encodings and errors.
    param($Dashboard, [string]$Path, [string]$Method = 'GET', $Content = $null, [int]$MaxBytes = 8388608, [double]$Seconds = 0)
    if ($Seconds -le 0) { $Seconds = $Dashboard.Seconds }
    $deadline = [datetime]::UtcNow.AddSeconds($Seconds)
    $verb = New-Object System.Net.Http.HttpMethod -ArgumentList $Method
    $target = New-Object System.Uri -ArgumentList $Dashboard.Base, $Path
    $request = New-Object System.Net.Http.HttpRequestMessage -ArgumentList $verb, $target
    if ($Content -is [string]) { $request.Content = New-Object System.Net.Http.StringContent -ArgumentList $Content, ([System.Text.Encoding]::UTF8), 'application/json' }
    elseif ($Content -is [byte[]]) { $request.Content = New-Object System.Net.Http.ByteArrayContent -ArgumentList (, $Content) }
    $stop = New-Object System.Threading.CancellationTokenSource
    $response = $null
    $memory = New-Object System.IO.MemoryStream
    try {
        $sending = $Dashboard.Client.SendAsync($request, [System.Net.Http.HttpCompletionOption]::ResponseHeadersRead, $stop.Token)
        if (-not (Wait-Task $sending $deadline)) { return (New-DashboardAnswer -Problem 'dashboard_timed_out') }
        if ($sending.IsFaulted -or $sending.IsCanceled) { return (New-DashboardAnswer -Problem 'dashboard_unreachable') }
        $response = $sending.Result
        $opening = $response.Content.ReadAsStreamAsync()
        if (-not (Wait-Task $opening $deadline)) { return (New-DashboardAnswer -Problem 'dashboard_timed_out') }
        if ($opening.IsFaulted -or $opening.IsCanceled) { return (New-DashboardAnswer -Problem 'dashboard_unreachable') }
        $stream = $opening.Result
        $buffer = New-Object byte[] 65536
        $isCut = $false
        while ($true) {
            $reading = $stream.ReadAsync($buffer, 0, $buffer.Length, $stop.Token)
            if (-not (Wait-Task $reading $deadline)) { return (New-DashboardAnswer -Problem 'dashboard_timed_out') }
            if ($reading.IsFaulted -or $reading.IsCanceled) { return (New-DashboardAnswer -Problem 'dashboard_unreachable') }
            $count = $reading.Result
            if ($count -eq 0) { break }
            if ($memory.Length + $count -gt $MaxBytes) {
                $isCut = $true
                break
            }
            $memory.Write($buffer, 0, $count)
        }
        $status = [int]$response.StatusCode
        $problem = ''
        if ($status -ne 200) { $problem = Get-DashboardProblem $Path $status }
        return (New-DashboardAnswer -Status $status -Text ([System.Text.Encoding]::UTF8.GetString($memory.ToArray())) -Problem $problem -IsCut $isCut)
    } catch [System.Management.Automation.MethodInvocationException] {
        # Old .NET throws some faults of a connection at once, and not through the task.
        return (New-DashboardAnswer -Problem 'dashboard_unreachable')
    } finally {
        $stop.Cancel()
        if ($null -ne $response) { $response.Dispose() }
        $request.Dispose()
        $memory.Dispose()
    }
}
