"""Readings that are answered one by one, over connections that stay open."""
