"""Events of observed readings: recent history, and delivery to subscribers."""
