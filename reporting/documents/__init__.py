"""Methodology, analysis report, scorecard and model card, made from a results folder and its charts."""
