"""From audio files to transcripts: windows, recognisers, output formats."""
