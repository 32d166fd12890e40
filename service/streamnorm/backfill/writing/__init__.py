"""What is written: the normalized rows, where they go, and the report."""
