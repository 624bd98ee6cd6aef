"""Tests of the MLflow mirror."""
