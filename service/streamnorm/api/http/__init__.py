"""HTTP machinery that is independent of readings: bodies, media types, problems, responses, metrics."""
