"""Models: the SpeechLM, its backbones, caches, masks and layer taps."""
