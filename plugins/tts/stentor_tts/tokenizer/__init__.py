"""Tokenizers of audio: the dual codec, the codecs of `transformers`, and what is counted of codes."""
