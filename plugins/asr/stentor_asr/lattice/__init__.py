"""Lattices through k2 (https://k2-fsa.github.io): graphs, pruned search, n-best, rescoring, lattice-free MMI.

`graphs`, `losses`, `ngram` and `search` import torch and k2 alone and run under Python 3.9, so that they can be tested
against the one k2 that installs from the package index. `decoder` and `vocabulary` fit them to Stentor.
"""
