"""Where readings go: the streams of a data folder, or a running service."""
