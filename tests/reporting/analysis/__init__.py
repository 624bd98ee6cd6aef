"""Tests of the way from records to result files."""
