"""The machine below the formulas: vector registers, threads that meet, and subnormal numbers."""
