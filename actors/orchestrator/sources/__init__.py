"""Reads and checks what the user named: models, arms, matrices and benchmarks."""
