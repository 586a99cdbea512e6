"""Preference data: typed fields of manifests, how they are made of samples and rewards, and how they are exchanged."""
