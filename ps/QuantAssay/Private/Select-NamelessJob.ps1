function Select-NamelessJob {
    # Return jobs whose pipeline id only their progress can tell, from the newest to the oldest.
    param([object[]]$Jobs)
    $found = @(foreach ($job in $Jobs) {
            $entrypoint = [string](Get-String $job 'entrypoint')
            if (-not (Get-String $job 'submission_id') -or -not $entrypoint.Contains('jobs.pipeline')) { continue }
            if ([regex]::IsMatch($entrypoint, '--pipeline-id[ =]')) { continue }
            if (Get-String (Get-Field $job 'metadata') 'quant_assay_pipeline') { continue }
            $job
        })
    $found | Sort-Object -Property @{ Expression = { [double](Get-Number $_ 'start_time') }; Descending = $true }
}
