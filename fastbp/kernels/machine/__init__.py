"""The machine below the formulas: vector registers, threads that meet, and numbers that are flushed to zero."""
