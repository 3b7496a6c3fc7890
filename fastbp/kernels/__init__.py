"""The compiled part of fastbp: the formulas, one file per concept. Nothing here validates, prints or warns.

The folder `compiling` compiles the formulas. The folder `machine` has the registers, threads and flags of the CPU.
"""
