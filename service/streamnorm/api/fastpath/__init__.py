"""The HTTP fast path: simple readings are answered before they become ASGI requests."""
