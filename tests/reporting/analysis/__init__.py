"""Tests of turning records into result files."""
