"""Training of waveform generators against discriminators, in one backward pass."""
