"""What HTTP asks of every call: bodies, media types, problems, responses; knows nothing of readings."""
