"""Known text to times: CTC paths and cross-attention, words, and the files that tell them."""
