"""Judges: scripted, a policy of this machine, or a model behind an OpenAI-compatible endpoint."""
