"""Tests of the door to llama.cpp."""
