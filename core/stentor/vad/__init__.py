"""Voice activity: detectors, and what is made of their frames."""
