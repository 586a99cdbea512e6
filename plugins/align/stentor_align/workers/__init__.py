"""Sampling and scoring in processes of their own, beside the one that learns."""
