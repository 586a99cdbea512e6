"""Speech recognition for Stentor."""
