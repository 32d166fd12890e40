"""The routes: each parses its request, calls the service and builds the response."""
