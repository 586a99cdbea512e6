"""N-gram language models: training, ARPA files, and fast queries for decoders."""
