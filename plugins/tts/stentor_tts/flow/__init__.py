"""Acoustic models by conditional flow matching."""
