"""Recordings as bytes: what they are packed in, how bytes stand for characters, a first pass for hash and sample."""
