"""Corpora that alignment is tried on."""
