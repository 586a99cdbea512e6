"""Drafters that the core brings."""
