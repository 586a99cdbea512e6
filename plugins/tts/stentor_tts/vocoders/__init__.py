"""Log-mel spectrograms to waveforms."""
