function Test-PipelineJob {
    # Return whether a job says of itself that it belongs to a pipeline: in its metadata, as its submission id, or in
    # its command.
    param($Job, [string]$PipelineId)
    $submission = Get-Field $Job 'submission_id'
    if (-not $submission) { return $false }
    if ($submission -ceq $PipelineId) { return $true }
    if ((Get-Field (Get-Field $Job 'metadata') 'quant_assay_pipeline') -ceq $PipelineId) { return $true }
    $entrypoint = [string](Get-Field $Job 'entrypoint')
    $named = '--pipeline-id[ =][''"]?' + [regex]::Escape($PipelineId) + '[''"]?(?:\s|$)'
    $entrypoint.Contains('jobs.pipeline') -and [regex]::IsMatch($entrypoint, $named)
}

function Select-PipelineJob {
    # Return the jobs of a pipeline, from the oldest to the newest.
    param([object[]]$Jobs, [string]$PipelineId)
    @($Jobs | Where-Object { Test-PipelineJob $_ $PipelineId }) | Sort-Object -Property @{ Expression = { [double](Get-Number $_ 'start_time') } }, @{ Expression = { [string](Get-Field $_ 'submission_id') } }
}

function Select-NamelessJob {
    # Return jobs whose pipeline id only their progress can tell, from the newest to the oldest.
    param([object[]]$Jobs)
    $found = @($Jobs | Where-Object {
            $entrypoint = [string](Get-Field $_ 'entrypoint')
            (Get-Field $_ 'submission_id') -and $entrypoint.Contains('jobs.pipeline') -and
            -not [regex]::IsMatch($entrypoint, '--pipeline-id[ =]') -and
            -not (Get-Field (Get-Field $_ 'metadata') 'quant_assay_pipeline')
        })
    $found | Sort-Object -Property @{ Expression = { [double](Get-Number $_ 'start_time') }; Descending = $true }
}
