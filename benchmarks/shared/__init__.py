"""What several benchmarks have in common; nothing here runs by itself."""
