"""The compiled part of fastbp: the formulas, one file per concept.

Kernels do not validate, print or warn, except for the checks of FASTBP_DEBUG=1.

The folder `compiling` compiles the formulas. The folder `machine` has the registers, threads and flags of the CPU.
"""
