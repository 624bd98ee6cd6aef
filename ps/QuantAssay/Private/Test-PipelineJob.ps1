function Test-PipelineJob {
    # Return whether a job says of itself that it belongs to a pipeline: in its metadata, as its submission id, or in
    # its command.
    param($Job, [string]$PipelineId)
    $submission = Get-String $Job 'submission_id'
    if (-not $submission) { return $false }
    if ($submission -ceq $PipelineId) { return $true }
    if ((Get-String (Get-Field $Job 'metadata') 'quant_assay_pipeline') -ceq $PipelineId) { return $true }
    $entrypoint = [string](Get-String $Job 'entrypoint')
    $named = '--pipeline-id[ =][''"]?' + [regex]::Escape($PipelineId) + '[''"]?(?:\s|$)'
    return ($entrypoint.Contains('jobs.pipeline') -and [regex]::IsMatch($entrypoint, $named))
}
