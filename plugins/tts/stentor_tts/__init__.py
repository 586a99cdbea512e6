"""Speech synthesis: audio tokenizers, a speaking language model, flow matching, vocoders."""
