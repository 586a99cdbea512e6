"""Decoders of CTC posteriors."""
