"""The PDF scorecard."""
