"""Formats in which devices and their collectors send readings."""
