"""Metrics of what is spoken (kind `metric`, `AudioMetric`)."""
