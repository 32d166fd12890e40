"""ASGI middleware that every request passes before routing: authorization and admission."""
