"""The compiled half of fastbp: the formulas, one file per concept. Nothing here validates, prints or warns.

`compiling` has what makes them compile, and `machine` the registers, the threads and the flags of the CPU.
"""
