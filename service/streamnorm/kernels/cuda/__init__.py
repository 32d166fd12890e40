"""Kernels on a CUDA device."""
