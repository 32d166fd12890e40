"""Streams, sequence numbers, time and configuration; no I/O, no clock, no await: time arrives as an argument."""
