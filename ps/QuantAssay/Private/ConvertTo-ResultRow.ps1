function ConvertTo-ResultRow {
    # Return the result of an arm on a benchmark as a flat object, ready for a table or a CSV file.
    param($Row, $Arm)
    $mean = Get-Interval $Row 'ci95'
    $difference = Get-Interval $Row 'difference_ci95'
    return [pscustomobject]@{
        Arm              = Get-String $Row 'arm'
        Benchmark        = Get-String $Row 'benchmark'
        Metric           = Get-String $Row 'metric'
        Mean             = Get-Number $Row 'mean'
        Low              = $mean.Low
        High             = $mean.High
        Items            = Get-Count $Row 'n_items'
        Unscored         = Get-Count $Row 'n_unscored'
        Difference       = Get-Number $Row 'difference'
        DifferenceLow    = $difference.Low
        DifferenceHigh   = $difference.High
        DifferenceMetric = Get-String $Row 'difference_metric'
        PairedItems      = Get-Count $Row 'n_paired'
        Verdict          = Get-String $Row 'verdict'
        ArmVerdict       = Get-String $Arm 'verdict'
        Reference        = Get-String $Arm 'reference'
        SizeBytes        = Get-Count $Arm 'size_bytes'
        BitsPerWeight    = Get-Number $Arm 'bits_per_weight'
    }
}
