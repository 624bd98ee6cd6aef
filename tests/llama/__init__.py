"""Tests of `actors.llama`."""
