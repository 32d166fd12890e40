"""What every route shares: bodies, problems, request state, metrics."""
