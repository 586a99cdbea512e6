"""Light measures of speech: pitch, level, tempo, spectra, voice. Waveforms are float [N] in [-1, 1]."""
