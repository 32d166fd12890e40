"""Streaming: readings that are answered one by one over long-lived connections."""
