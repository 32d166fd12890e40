"""Blocks of readings from lists, arrays and data frames."""
