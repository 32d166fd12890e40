"""Persistence: stores map stream ids to opaque blobs."""
