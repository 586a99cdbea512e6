"""Tasks that need no plugin."""
