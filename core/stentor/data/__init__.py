"""Manifests, corpora, augmentation, batching and the resumable loader."""
