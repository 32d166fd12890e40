"""The tests; folders below mirror the source.

This one folder is a package so that `python -m tests.benchmarks` and `from tests.… import …` mean it, whatever else is
installed under that name. pytest finds the others by their paths (`--import-mode=importlib`).
"""
