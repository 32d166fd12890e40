"""The calls: each reads its request, calls the service and answers."""
