function Get-NodeList {
    # Return the use of each node; nothing if it cannot be read, because all else is worth showing without it.
    param($Dashboard)
    $answer = Invoke-Dashboard $Dashboard 'nodes?view=summary'
    if ($answer.Problem -or $answer.IsCut) { return }
    $parsed = ConvertFrom-JsonText $answer.Text
    if ($null -eq $parsed) { return }
    Select-JsonObject (Get-Field $parsed.Value 'data') 'summary'
}
