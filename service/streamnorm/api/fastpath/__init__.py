"""The fast path: usual readings, answered before they become requests."""
