"""The HTTP calls, a file a resource."""
