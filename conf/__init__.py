"""Configuration: what the user may set, read from YAML, flags and the environment, and checked before any work."""

VERSION = "0.1.0"
"""Version of Quant Assay, the same as in pyproject.toml."""
