"""What the user named, read and checked: models, arms, matrices, benchmarks."""
