"""The HTML page that is the report: one file that needs nothing else."""
