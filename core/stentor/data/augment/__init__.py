"""Augmentation of waveforms (numpy, before batching) and of frames (SpecAugment)."""
