"""The compiled part of fastbp: the formulas, one file per concept. No kernel validates, prints or warns, except for
the checks of FASTBP_DEBUG=1.

The folder `compiling` compiles the formulas. The folder `machine` has the registers, threads and flags of the CPU.
"""
