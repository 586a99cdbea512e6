"""Teacher voices: synthesis engines that make training and test audio, always labelled synthetic."""
