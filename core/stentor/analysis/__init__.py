"""What a trained run has learnt: analyses over its parts, with their baselines."""
