"""Streams: one reading at a time, and what changes, saves and describes a stream as a whole."""
