"""Lattices through k2 (https://k2-fsa.github.io): graphs, pruned search, n-best, rescoring, lattice-free MMI.

Every module here but `decoder` imports torch and k2 alone and runs under Python 3.9, so that it can be tested
against the one k2 that installs from the package index.
"""
