function Get-JobPipelineId {
    # Return the id of the pipeline that a job says it runs; nothing if it does not say.
    param($Job)
    $id = Get-String (Get-Field $Job 'metadata') 'quant_assay_pipeline'
    if ($id) { return $id }
    $entrypoint = [string](Get-String $Job 'entrypoint')
    $found = [regex]::Match($entrypoint, '--pipeline-id[ =][''"]?([A-Za-z0-9][A-Za-z0-9_.+~-]*)')
    if ($entrypoint.Contains('jobs.pipeline') -and $found.Success) { return $found.Groups[1].Value }
}
