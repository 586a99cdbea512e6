"""Ablations: a grid of runs that differ in named choices, compared in one report."""
