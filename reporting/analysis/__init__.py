"""From records to the result JSON files."""
