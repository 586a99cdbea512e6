"""Corpora of synthetic speech for speaking models."""
