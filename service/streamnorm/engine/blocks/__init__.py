"""Blocks of readings: parsed, observed as a whole, converted to and from single readings."""
