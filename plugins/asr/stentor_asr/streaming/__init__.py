"""Recognition while somebody speaks: blocks of audio in, partial and final transcripts out."""
