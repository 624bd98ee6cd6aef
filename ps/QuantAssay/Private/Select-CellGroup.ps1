function Select-CellGroup {
    # Return cells done and in all by arm or by benchmark, without the entries that lack a number.
    param($Progress, [string]$Name)
    foreach ($one in @(Select-JsonObject $Progress $Name)) {
        $done = Get-Count $one 'cells_done'
        $total = Get-Count $one 'cells_total'
        if ($null -ne $done -and $null -ne $total) {
            [pscustomobject]@{ Name = [string](Get-String $one 'name'); CellsDone = $done; CellsTotal = $total }
        }
    }
}
