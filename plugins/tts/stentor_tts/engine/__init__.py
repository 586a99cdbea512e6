"""The data engine: texts, rewritten, spoken by teachers, filtered with reasons, as a corpus to train on."""
