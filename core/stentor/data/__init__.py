"""Data: audio files, manifests, corpora, and the loader that feeds training."""
