"""The HTTP layer: parse requests, delegate to the service, write responses."""
