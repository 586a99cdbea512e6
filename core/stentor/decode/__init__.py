"""The generation engine: prefill once, then cached steps; sampling, grammars, stop conditions, callbacks."""
