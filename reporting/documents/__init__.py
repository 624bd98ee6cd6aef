"""Methodology, analysis report and scorecard from a results folder and its charts."""
