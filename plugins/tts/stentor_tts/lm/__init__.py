"""The speaking language model: one causal model for which audio codes are another language."""
