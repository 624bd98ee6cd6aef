function Send-Package {
    # Send a packed folder to the cluster, unless it is there. Return the answer that failed, or nothing.
    param($Dashboard, $Package)
    $path = 'api/packages/gcs/' + $Package.Name
    $known = Invoke-Dashboard $Dashboard $path
    if ($known.Status -eq 200) { return }
    if ($known.Status -ne 404) { return $known }
    $sent = Invoke-Dashboard $Dashboard $path -Method 'PUT' -Content $Package.Bytes -Seconds 600
    if ($sent.Problem) { return $sent }
}
