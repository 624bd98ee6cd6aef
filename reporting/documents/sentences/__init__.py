"""Sentences about the findings. They use phrases, and no tables."""
