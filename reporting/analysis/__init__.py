"""Turn records into the result JSON files."""
