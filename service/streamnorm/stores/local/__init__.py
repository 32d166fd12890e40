"""One machine: streams in memory, written behind to SQLite."""
