"""Cells that are times: dates and zones, what a column of times means, and its seconds since 1970."""
