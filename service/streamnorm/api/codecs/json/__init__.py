"""Readings and tables as JSON, whole or a line each."""
