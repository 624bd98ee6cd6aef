function Wait-Task {
    # Wait for a .NET task in short steps, so that Ctrl-C is seen. Return whether it ended in time.
    param($Task, [datetime]$Deadline)
    while (-not $Task.IsCompleted) {
        if ([datetime]::UtcNow -ge $Deadline) { return $false }
        try { [void]$Task.Wait(100) } catch { break }
    }
    return $true
}

function New-DashboardAnswer {
    param([int]$Status = 0, [string]$Text = '', [string]$Problem = '', [bool]$IsCut = $false)
    New-Object PSObject -Property @{ Status = $Status; Text = $Text; Problem = $Problem; IsCut = $IsCut }
}

function Get-DashboardProblem {
    # Return why a status other than 200 is no usable answer.
    param([string]$Path, [int]$Status)
    if ($Status -eq 500 -and $Path.StartsWith('api/v0/logs')) { return 'log_gone' }
    if ($Status -eq 401) { return 'token_missing' }
    if ($Status -eq 403) { return 'token_wrong' }
    if ($Status -eq 429) { return 'too_many_requests' }
    if ($Status -ge 500) { return 'dashboard_error' }
    return 'no_dashboard'
}

function Invoke-Dashboard {
    # Make one request, and return status, text and problem. It never throws for what a dashboard does: the answer is
    # bounded in time and bytes, and decoded as UTF-8 whatever its header says. HttpClient is used because
    # Invoke-RestMethod differs between 5.1 and 7 in time limits, encodings and errors.
    param($Dashboard, [string]$Path, [string]$Method = 'GET', [string]$Body, [byte[]]$Bytes, [int]$MaxBytes = 8388608, [int]$Seconds = 15)
    $deadline = [datetime]::UtcNow.AddSeconds($Seconds)
    $request = New-Object System.Net.Http.HttpRequestMessage -ArgumentList (New-Object System.Net.Http.HttpMethod -ArgumentList $Method), (New-Object System.Uri -ArgumentList $Dashboard.Base, $Path)
    if ($Body) { $request.Content = New-Object System.Net.Http.StringContent -ArgumentList $Body, ([System.Text.Encoding]::UTF8), 'application/json' }
    elseif ($null -ne $Bytes) { $request.Content = New-Object System.Net.Http.ByteArrayContent -ArgumentList (, $Bytes) }
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
        $stream = $opening.Result
        $buffer = New-Object byte[] 65536
        $isCut = $false
        while ($true) {
            $reading = $stream.ReadAsync($buffer, 0, $buffer.Length, $stop.Token)
            if (-not (Wait-Task $reading $deadline)) { return (New-DashboardAnswer -Problem 'dashboard_timed_out') }
            if ($reading.IsFaulted -or $reading.IsCanceled) { return (New-DashboardAnswer -Problem 'dashboard_unreachable') }
            if ($reading.Result -eq 0) { break }
            if ($memory.Length + $reading.Result -gt $MaxBytes) {
                $isCut = $true
                break
            }
            $memory.Write($buffer, 0, $reading.Result)
        }
        $status = [int]$response.StatusCode
        $problem = ''
        if ($status -ne 200) { $problem = Get-DashboardProblem $Path $status }
        New-DashboardAnswer -Status $status -Text ([System.Text.Encoding]::UTF8.GetString($memory.ToArray())) -Problem $problem -IsCut $isCut
    } finally {
        $stop.Cancel()
        if ($null -ne $response) { $response.Dispose() }
        $request.Dispose()
        $memory.Dispose()
    }
}
