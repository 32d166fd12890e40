"""The service's calls without I/O: what to send, when to repeat it, and how to number readings."""
