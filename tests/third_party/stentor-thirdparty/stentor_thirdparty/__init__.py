"""Six components from outside."""
