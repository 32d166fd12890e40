"""streamnorm normalizes sensor readings as they arrive, one at a time."""

__version__ = "0.1.0"
