"""People who compare: pairs of responses on a local page, blind, and their votes as preference data."""
