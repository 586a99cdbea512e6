"""The one language of sequences: vocabulary, spans, packing, grammars."""
