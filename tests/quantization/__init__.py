"""Tests of the quantization role."""
