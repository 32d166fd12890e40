"""The outbox: readings on disk until the service has them."""
