"""Single-machine backend: streams in memory, persisted to SQLite by write-behind."""
