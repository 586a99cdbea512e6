"""The front end: text as people write it to text as it is spoken, and to phonemes."""
