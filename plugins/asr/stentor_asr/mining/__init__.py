"""Hard-sample mining: which utterances of an unlabelled pool are worth a transcript (after arXiv 1904.08031)."""
