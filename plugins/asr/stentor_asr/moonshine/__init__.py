"""Moonshine (Jeffries et al. 2024) with the weights that its package carries."""
