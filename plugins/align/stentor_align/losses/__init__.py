"""What alignment descends: pure functions of log-probabilities, rewards and values, with masks."""
