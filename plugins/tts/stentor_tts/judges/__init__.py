"""Judges of what is spoken: recognisers that never trained and never rewarded what they hear."""
