"""Corpora: one module for each way in which people keep audio and text."""
