"""Kernels on the CPU: compiled by Numba, side by side in vector registers, on several threads."""
