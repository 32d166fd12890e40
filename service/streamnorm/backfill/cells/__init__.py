"""Cells of a table: cut from lines and joined again to the byte, by Arrow where rows are all alike; and as numbers."""
