"""Tests of the terminal summary."""
