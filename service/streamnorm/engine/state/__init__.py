"""A stream's numbers in its buffer: where each feature's are, and what is kept for retries."""
