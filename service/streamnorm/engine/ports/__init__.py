"""What the engine asks of the rest: where streams live, and where their blobs are kept."""
