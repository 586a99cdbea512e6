"""Neural codecs: trained here, light enough for live use."""
