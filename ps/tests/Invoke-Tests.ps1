<#
.SYNOPSIS
    Plays the specification of tests/monitor against the module, and tests its commands. It needs no other module.
.DESCRIPTION
    Start the server first: python3 tests/monitor/replay.py --port 8999
    A line is written per case; the last one says how many passed and failed. The exit code is 1 if any failed.
.PARAMETER Server
    Address of the replay server.
.EXAMPLE
    pwsh -NoProfile -File ps/tests/Invoke-Tests.ps1 -Server http://127.0.0.1:8999
    Runs all tests.
#>
[CmdletBinding()]
param(
    [Parameter(Mandatory = $true)]
    [string]$Server
)
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
[cultureinfo]::CurrentCulture = [cultureinfo]::InvariantCulture
try {
    [Console]::OutputEncoding = New-Object System.Text.UTF8Encoding -ArgumentList $false
} catch {
    Write-Verbose 'There is no console.'
}
# The tokens of whoever runs the tests stay out of them.
$env:RAY_AUTH_TOKEN = $null
$env:RAY_AUTH_TOKEN_PATH = [System.IO.Path]::Combine($PSScriptRoot, 'no-such-file')

$root = [System.IO.Path]::GetFullPath([System.IO.Path]::Combine($PSScriptRoot, '..', '..'))
$specification = [System.IO.Path]::Combine($root, 'tests', 'monitor')
Import-Module ([System.IO.Path]::Combine($root, 'ps', 'QuantAssay', 'QuantAssay.psd1')) -Force
$module = Get-Module -Name 'QuantAssay'
$run = 'ps-{0}-{1}' -f $PID, [datetime]::UtcNow.Ticks
$tally = @{ Passed = 0; Failed = 0 }
$script:seenView = $null

function Test-Case {
    # Run a test. It returns nothing if all is right, else what is wrong.
    param([string]$Title, [scriptblock]$Body)
    try {
        $fault = @(& $Body) -join '; '
    } catch {
        $fault = 'threw: ' + $_.Exception.Message + ' at ' + $_.ScriptStackTrace
    }
    if ($fault) {
        $tally.Failed++
        "FAIL $Title : $fault"
    } else {
        $tally.Passed++
        "ok   $Title"
    }
}

function Get-ConversationAddress {
    param([string]$Name, [string]$Part = '')
    "$($Server.TrimEnd('/'))/$run$Part/$Name"
}

function Read-Json {
    # Return the value of a JSON file, in an object that keeps a list whole.
    param([string]$Path)
    $text = [System.IO.File]::ReadAllText($Path, [System.Text.Encoding]::UTF8)
    & $module { param($json) ConvertFrom-JsonText $json } $text
}

function Get-Seen {
    # Return what was asked in a run of a conversation, in an object that keeps the list whole.
    param([string]$Name, [string]$Part = '')
    & $module {
        param($address, $path)
        $dashboard = Connect-Dashboard -Address $address
        (ConvertFrom-JsonText (Invoke-Dashboard $dashboard $path).Text)
    } $Server "_seen/$run$Part/$Name"
}

function ConvertTo-PropertyName {
    # Return the name that PowerShell uses for a field of the specification.
    param([string]$Name)
    if ($Name -eq 'elapsed_s') { return 'ElapsedSeconds' }
    -join @($Name.Split('_') | ForEach-Object { $_.Substring(0, 1).ToUpperInvariant() + $_.Substring(1) })
}

function Compare-Value {
    # Return where a value differs from the specification; nothing if it does not.
    param($Expected, $Actual, [string]$Path)
    if ($null -eq $Expected) {
        if ($null -ne $Actual) { "$Path is '$Actual', not null" }
        return
    }
    if ($Expected -is [array]) {
        if ($Actual -isnot [array]) { return "$Path is no list" }
        if ($Actual.Count -ne $Expected.Count) { return "$Path has $($Actual.Count) entries, not $($Expected.Count)" }
        for ($index = 0; $index -lt $Expected.Count; $index++) { Compare-Value $Expected[$index] $Actual[$index] "$Path[$index]" }
        return
    }
    if ($Expected -is [System.Management.Automation.PSCustomObject]) {
        foreach ($field in @($Expected.PSObject.Properties)) {
            $property = $null
            if ($null -ne $Actual) { $property = $Actual.PSObject.Properties[(ConvertTo-PropertyName $field.Name)] }
            if ($null -eq $property) { "$Path.$($field.Name) is missing" }
            else { Compare-Value $field.Value $property.Value "$Path.$($field.Name)" }
        }
        return
    }
    if ($null -eq $Actual) { return "$Path is null, not '$Expected'" }
    if ($Expected -is [datetime]) {
        $moment = [DateTimeOffset]::Parse([string]$Actual, [cultureinfo]::InvariantCulture)
        if ($moment.UtcDateTime -ne $Expected.ToUniversalTime()) { "$Path is '$Actual', not '$Expected'" }
        return
    }
    if ($Expected -is [string]) {
        if ($Actual -isnot [string] -or -not [string]::Equals($Actual, $Expected)) { "$Path is '$Actual', not '$Expected'" }
        return
    }
    if ([math]::Abs([double]$Actual - [double]$Expected) -gt 1e-9 * [math]::Max(1, [math]::Abs([double]$Expected))) { "$Path is '$Actual', not '$Expected'" }
}

function Compare-Screen {
    # Return the first line of a screen that differs; nothing if none does.
    param([string[]]$Expected, [string[]]$Actual)
    $count = [math]::Max($Expected.Count, $Actual.Count)
    for ($index = 0; $index -lt $count; $index++) {
        $wanted = ''
        $drawn = ''
        if ($index -lt $Expected.Count) { $wanted = $Expected[$index] }
        if ($index -lt $Actual.Count) { $drawn = $Actual[$index] }
        # The operators of PowerShell overlook characters that have no width.
        if (-not [string]::Equals($wanted, $drawn)) { return "line $($index + 1) is '$drawn', not '$wanted'" }
    }
    if ($Expected.Count -ne $Actual.Count) { "$($Actual.Count) lines, not $($Expected.Count)" }
}

function Get-Failure {
    # Return the error record of a command that must fail; a text if it did not.
    param([scriptblock]$Command)
    try {
        [void](& $Command)
    } catch {
        return $_
    }
    return $null
}

function Test-Failure {
    # Return what is wrong if a command does not fail with this error id, or shows a token.
    param([string]$Id, [scriptblock]$Command)
    $caught = Get-Failure $Command
    if ($null -eq $caught) { return "it did not fail with $Id" }
    if (-not ([string]$caught.FullyQualifiedErrorId).StartsWith($Id)) { return "it failed with $($caught.FullyQualifiedErrorId), not $Id" }
    if ($caught.Exception.ToString().Contains('replayed-token')) { return 'the error shows the token' }
}

function ConvertTo-Secret {
    # Return a text as a SecureString.
    param([string]$Text)
    $secret = New-Object System.Security.SecureString
    foreach ($character in $Text.ToCharArray()) { $secret.AppendChar($character) }
    return $secret
}

# --- the specification
foreach ($folder in @(Get-ChildItem -LiteralPath $specification -Directory | Sort-Object -Property Name)) {
    $name = $folder.Name
    $path = [System.IO.Path]::Combine($folder.FullName, 'expected.json')
    if (-not [System.IO.File]::Exists($path)) { continue }
    $expected = (Read-Json $path).Value
    $token = $null
    if ($null -ne $expected.token) { $token = ConvertTo-Secret $expected.token }
    $seconds = 15
    if ($null -ne $expected.answer_s) { $seconds = $expected.answer_s }
    $dashboard = & $module { param($address, $token, $seconds) Connect-Dashboard -Address $address -Token $token -Seconds $seconds } (Get-ConversationAddress $name) $token $seconds
    $view = $null
    $number = 0
    foreach ($look in $expected.looks) {
        $number++
        Test-Case "$name look $number : view" {
            $script:seenView = & $module { param($dashboard, $id, $before) Get-PipelineView $dashboard $id $before } $dashboard $expected.pipeline_id $view
            Compare-Value $look.view $script:seenView 'view'
        }
        $view = $script:seenView
        foreach ($language in 'ja', 'en') {
            foreach ($width in 40, 80, 160) {
                Test-Case "$name look $number : screen $language $width" {
                    $drawn = @(& $module { param($view, $width, $language) Format-PipelineScreen $view $width $language } $view $width $language)
                    Compare-Screen @($look.screens.$language."$width") $drawn
                }
            }
        }
    }
    $dashboard.Client.Dispose()
    Test-Case "$name : requests" {
        $asked = @((Get-Seen $name).Value)
        if ($asked.Count -eq 0) { return 'nothing was asked' }
        foreach ($one in $asked) {
            if ($one.method -cne 'GET') { "a look sent $($one.method)" }
            if (-not $one.user_agent.StartsWith('QuantAssay/')) { "the sender is $($one.user_agent)" }
            if ($one.has_token -ne ($null -ne $expected.token)) { 'the token is not right' }
        }
    }
}

# --- objects for scripts
$steer = Get-ConversationAddress 'steer'
$succeeded = Get-ConversationAddress 'succeeded'
Test-Case 'Get-QuantJob lists jobs with their pipelines' {
    $jobs = @(Get-QuantJob -Address $steer)
    if ($jobs.Count -ne 3) { return "$($jobs.Count) jobs, not 3" }
    if ((@($jobs | ForEach-Object { $_.PipelineId }) -join ' ') -cne 'demo old driver') { 'the ids are not right' }
    if (@(Get-QuantJob -Address $steer -PipelineId demo).Count -ne 1) { 'the filter is not right' }
    if (@(Get-QuantJob -Address (Get-ConversationAddress 'no_pipeline')).Count -ne 0) { 'an empty list is not empty' }
}
Test-Case 'Get-QuantProgress returns an object, also under its old name' {
    if ((Get-QuantProgress -PipelineId demo -Address $succeeded).State -cne 'done') { 'the state is not done' }
    if ((Get-PipelineProgress -Id demo -Address $succeeded).CellsDone -ne 60) { 'the alias does not work' }
    if ((Get-QuantProgress -PipelineId demo -Address (Get-ConversationAddress 'html')).Problem -cne 'no_dashboard') { 'the problem is not named' }
}
Test-Case 'Get-QuantResult returns flat rows' {
    $rows = @(Get-QuantResult -PipelineId demo -Address $succeeded)
    if ($rows.Count -ne 4) { return "$($rows.Count) rows, not 4" }
    $row = @($rows | Where-Object { $_.Arm -ceq 'q4_k_m' })[0]
    if ($row.Benchmark -cne 'gsm8k' -or $row.Items -ne 1319 -or $row.PairedItems -ne 1319) { 'the counts are not right' }
    if ($row.Verdict -cne 'no_worse' -or $row.ArmVerdict -cne 'no_worse' -or $row.Reference -cne 'f16') { 'the verdicts are not right' }
    if ([math]::Abs($row.Difference + 0.005) -gt 1e-9 -or $row.DifferenceLow -ge $row.DifferenceHigh) { 'the difference is not right' }
    if (@($rows | ConvertTo-Csv -NoTypeInformation).Count -ne 5) { 'the CSV is not right' }
}
Test-Case 'Get-QuantResult fails before the end' {
    Test-Failure 'no_result' { Get-QuantResult -PipelineId demo -Address (Get-ConversationAddress 'old_clock') }
    Test-Failure 'no_such_pipeline' { Get-QuantResult -PipelineId demo -Address (Get-ConversationAddress 'no_pipeline') }
}
Test-Case 'Wait-QuantJob waits for the end' {
    if ((Wait-QuantJob -PipelineId demo -Address $succeeded -Timeout 30).State -cne 'done') { 'the state is not done' }
    Test-Failure 'timed_out' { Wait-QuantJob -PipelineId demo -Address (Get-ConversationAddress 'old_clock') -Timeout 1 -Interval 0.2 }
    Test-Failure 'token_missing' { Wait-QuantJob -PipelineId demo -Address (Get-ConversationAddress 'token_running') -Timeout 30 }
}
Test-Case 'a given token is used, and a wrong one is not shown' {
    $address = Get-ConversationAddress 'token_finished'
    if ((Get-QuantProgress -PipelineId demo -Address $address -Token (ConvertTo-Secret 'replayed-token')).State -cne 'done') { 'the token is not used' }
    Test-Failure 'token_wrong' { Get-QuantJob -Address $address -Token (ConvertTo-Secret 'replayed-token-and-more') }
    Test-Failure '' { Get-QuantJob -Address $address -Token (ConvertTo-Secret "replayed-token`nX: y") }
}
Test-Case 'the token of the environment is used' {
    $env:RAY_AUTH_TOKEN = 'replayed-token'
    try {
        if (@(Get-QuantJob -Address (Get-ConversationAddress 'token_running')).Count -ne 1) { 'it is not used' }
    } finally {
        $env:RAY_AUTH_TOKEN = $null
    }
}
Test-Case 'an address that is none is refused' {
    foreach ($address in 'nowhere', 'ftp://h:1', 'http://user:secret@h:8265', 'http://h/?x=secret') {
        $caught = Get-Failure { Get-QuantJob -Address $address }
        if ($null -eq $caught) { "$address was taken" }
        elseif ($caught.Exception.Message.Contains('secret')) { "$address is shown with its secret" }
    }
}
Test-Case 'a proxy of the environment does not catch loopback' {
    $before = $env:http_proxy
    $env:http_proxy = 'http://127.0.0.1:9'
    try {
        if (@(Get-QuantJob -Address $succeeded).Count -ne 1) { 'there are no jobs' }
    } finally {
        $env:http_proxy = $before
    }
}
Test-Case 'Stop-QuantJob stops jobs, and only if it may' {
    Stop-QuantJob -PipelineId demo -Address (Get-ConversationAddress 'steer' '-stop') -WhatIf
    if (@(@((Get-Seen 'steer' '-stop').Value) | Where-Object { $_.method -ceq 'POST' }).Count -ne 0) { 'WhatIf stopped a job' }
    if (-not (Stop-QuantJob -PipelineId demo -Address $steer -Confirm:$false).Stopped) { 'the job was not stopped' }
    if ((Stop-QuantJob -SubmissionId qa-old -Address $steer -Confirm:$false).Stopped) { 'an ended job was stopped' }
    Test-Failure 'dashboard_refused' { Stop-QuantJob -SubmissionId '03000000' -Address $steer -Confirm:$false }
    Test-Failure 'no_such_pipeline' { Stop-QuantJob -PipelineId other -Address $steer -Confirm:$false }
}
Test-Case 'Start-QuantJob posts a job with code of the head node' {
    $started = Start-QuantJob -PipelineId demo -CodeFolder '/srv/quant assay' -Argument '--model', "/data/it's.gguf" -Address (Get-ConversationAddress 'steer' '-code') -Confirm:$false
    if ($started.SubmissionId -cne 'qa-new') { 'the submission id is not right' }
    $sent = @(@((Get-Seen 'steer' '-code').Value) | Where-Object { $_.method -ceq 'POST' })
    if ($sent.Count -ne 1) { return "$($sent.Count) requests, not 1" }
    $body = (& $module { param($json) ConvertFrom-JsonText $json } $sent[0].body).Value
    $command = "cd '/srv/quant assay' && python -m jobs.pipeline --pipeline-id demo --model '/data/it'" + '"' + "'" + '"' + "'s.gguf'"
    if ($body.entrypoint -cne $command) { "the command is $($body.entrypoint)" }
    if ($body.metadata.quant_assay_pipeline -cne 'demo') { 'the metadata are not right' }
    if ($body.runtime_env.env_vars.PYTHONUNBUFFERED -cne '1') { 'the environment is not right' }
}
Test-Case 'Start-QuantJob packs a folder without what .rayignore names' {
    $folder = [System.IO.Path]::Combine([System.IO.Path]::GetTempPath(), "quant-assay-$run")
    try {
        foreach ($file in 'jobs/pipeline.py', 'runs/big.json', 'model.gguf', 'sub/other.gguf', 'sub/runs.py', 'keep.gguf.txt') {
            $path = [System.IO.Path]::Combine($folder, $file)
            [void][System.IO.Directory]::CreateDirectory([System.IO.Path]::GetDirectoryName($path))
            [System.IO.File]::WriteAllText($path, 'x')
        }
        [System.IO.File]::WriteAllText([System.IO.Path]::Combine($folder, '.rayignore'), "# comment`nruns/`n*.gguf`n!sub/other.gguf`n")
        $names = @(& $module { param($folder) Get-PackageFile $folder | ForEach-Object { $_.Name } } $folder | Sort-Object) -join ' '
        $wanted = @('.rayignore', 'jobs/pipeline.py', 'keep.gguf.txt', 'sub/other.gguf', 'sub/runs.py' | Sort-Object) -join ' '
        if ($names -cne $wanted) { "packed: $names" }
        $address = Get-ConversationAddress 'steer' '-folder'
        [void](Start-QuantJob -PipelineId demo -WorkingDirectory $folder -Address $address -Confirm:$false)
        $asked = @((Get-Seen 'steer' '-folder').Value)
        if ((@($asked | ForEach-Object { $_.method }) -join ' ') -cne 'GET PUT POST') { return 'the requests are not right' }
        if (-not $asked[1].body.StartsWith('PK')) { 'what was sent is no zip file' }
        $body = (& $module { param($json) ConvertFrom-JsonText $json } $asked[2].body).Value
        if ($body.runtime_env.working_dir -cne ('gcs://' + $asked[1].path.Split('/')[-1])) { 'the working directory is not what was sent' }
    } finally {
        if ([System.IO.Directory]::Exists($folder)) { [System.IO.Directory]::Delete($folder, $true) }
    }
}
Test-Case 'Open-QuantReport says where a report is that is not here' {
    Test-Failure 'not_here' { Open-QuantReport -PipelineId demo -Address $succeeded }
    Test-Failure 'no_output' { Open-QuantReport -PipelineId demo -Output scorecard -Address $succeeded }
    Open-QuantReport -PipelineId demo -Output mlflow -Address $succeeded -WhatIf
}
Test-Case 'Show-ResourceUsage prints the lines of the resources alone' {
    $lines = @(Show-ResourceUsage -PipelineId demo -Language en -Address (Get-ConversationAddress 'old_clock'))
    if ($lines.Count -ne 2 -or -not $lines[0].StartsWith('job: CPU 78%') -or -not $lines[1].StartsWith('node head: CPU 42%')) { $lines -join ' / ' }
    $lines = @(Show-ResourceUsage -ProcessId $PID -Language en)
    if ($lines.Count -ne 1 -or -not $lines[0].StartsWith("process $PID")) { $lines -join ' / ' }
    $lines = @(Show-ResourceUsage -PipelineId demo -Language en -Address $succeeded)
    if ($lines.Count -ne 1) { 'an ended pipeline uses something' }
}
Test-Case 'Show-ResourceUsage prints a line per node, and how many more there are' {
    $lines = @(Show-ResourceUsage -PipelineId demo -Language ja -Address (Get-ConversationAddress 'many_nodes'))
    if ($lines.Count -ne 6) { "$($lines.Count) lines, not 6" }
}

# --- help and exports
foreach ($command in @(Get-Command -Module 'QuantAssay' -CommandType Function)) {
    Test-Case "$($command.Name) has help with an example" {
        $help = Get-Help -Name $command.Name -Full
        if (-not ($help.PSObject.Properties['examples'] -and $help.examples)) { 'there is no example' }
        foreach ($parameter in @('PipelineId', 'Address')) {
            if ($command.Parameters.ContainsKey($parameter) -and -not (($help | Out-String -Width 200) -match $parameter)) { "$parameter is not described" }
        }
    }
}
Test-Case 'nine functions and one alias are exported' {
    if (@(Get-Command -Module 'QuantAssay' -CommandType Function).Count -ne 9) { 'there are not nine functions' }
    if (@(Get-Command -Module 'QuantAssay' -CommandType Alias).Count -ne 1) { 'there is not one alias' }
}

# --- the script
$shell = (Get-Process -Id $PID).Path
function Invoke-Monitor {
    # Run the script in a process of its own, and return its exit code and output.
    param([string]$Script, [string[]]$Words)
    $path = [System.IO.Path]::Combine($root, 'ps', $Script)
    $before = $ErrorActionPreference
    $ErrorActionPreference = 'Continue'
    try {
        $output = @(& $shell -NoProfile -NonInteractive -ExecutionPolicy Bypass -File $path @Words 2>&1 | ForEach-Object { [string]$_ })
    } finally {
        $ErrorActionPreference = $before
    }
    [pscustomobject]@{ Code = $LASTEXITCODE; Output = $output }
}
$endings = @(
    @('succeeded', 0), @('failed', 1), @('failed_early', 1), @('stopped', 3), @('no_pipeline', 2), @('token_missing', 1), @('html', 1)
)
foreach ($ending in $endings) {
    Test-Case "the script ends with $($ending[1]) : $($ending[0])" {
        $ended = Invoke-Monitor 'Monitor-QuantizationProgress.ps1' @('-PipelineId', 'demo', '-Address', (Get-ConversationAddress $ending[0]), '-Language', 'en')
        if ($ended.Code -ne $ending[1]) { "it ended with $($ended.Code): $($ended.Output -join ' / ')" }
        if (($ended.Output -join '').Contains([string][char]27)) { 'it wrote escape codes into a pipe' }
    }
}
Test-Case 'the script shows a running pipeline once, also under its old name' {
    $words = @('-PipelineId', 'demo', '-Address', (Get-ConversationAddress 'old_clock'), '-Once', '-Language', 'ja')
    $expected = (Read-Json ([System.IO.Path]::Combine($specification, 'old_clock', 'expected.json'))).Value
    foreach ($name in 'Monitor-QuantizationProgress.ps1', 'monitor_quantization_progress.ps1') {
        $ended = Invoke-Monitor $name $words
        if ($ended.Code -ne 0) { "$name ended with $($ended.Code): $($ended.Output -join ' / ')" }
        Compare-Screen @($expected.looks[0].screens.ja.'80') @($ended.Output)
    }
}
foreach ($words in @(@('-Once'), @('-PipelineId', 'demo', '-Language', 'fr'), @('-PipelineId', 'demo', '-UpdateInterval', 'x'), @('-PipelineId', 'demo', '-Address', 'nowhere'), @('-PipelineId', 'demo', '-NoSuchParameter', '1'))) {
    Test-Case "bad input ends with 2 : $($words -join ' ')" {
        $ended = Invoke-Monitor 'Monitor-QuantizationProgress.ps1' $words
        if ($ended.Code -ne 2) { "it ended with $($ended.Code): $($ended.Output -join ' / ')" }
    }
}

"$($tally.Passed) passed, $($tally.Failed) failed"
if ($tally.Failed -gt 0) { exit 1 }
exit 0
