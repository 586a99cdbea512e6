"""Scoring: metrics, the evaluation runner, significance tests."""
