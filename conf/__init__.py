"""The configuration: the user's settings from YAML, flags and environment variables, checked before any work."""

VERSION = "0.1.0"
"""Version of Quant Assay, the same as in pyproject.toml."""
