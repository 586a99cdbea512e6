"""Alignment: rewards, preference optimisation, reinforcement learning, merging of runs."""
