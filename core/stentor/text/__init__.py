"""Text as it is spoken and as it is written: grammars that lead from the one to the other."""
