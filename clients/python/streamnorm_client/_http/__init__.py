"""Connections over HTTP/1.1, httpx and WebSockets, and what they share."""
