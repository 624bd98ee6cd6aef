function ConvertTo-ShellWord {
    # Return a word as a POSIX shell reads it back unchanged: the head node runs the command in sh.
    param([string]$Word)
    if ($Word -cmatch '^[A-Za-z0-9_@%+=:,./-]+\z') { return $Word }
    $quote = [string][char]39
    return $quote + $Word.Replace($quote, $quote + '"' + $quote + '"' + $quote) + $quote
}
