"""The MLflow mirror of a run directory."""
