"""Whisper (Radford et al. 2022): features, encoder, decoding, and weights from a pip package."""
