"""Events of what was observed: kept for a while, and brought to subscribers."""
