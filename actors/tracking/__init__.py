"""The MLflow mirror of a run directory: `runs` reads the directory, `mirror` writes the store."""
