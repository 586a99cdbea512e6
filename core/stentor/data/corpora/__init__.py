"""Corpora: where utterances come from, found on disk or made."""
