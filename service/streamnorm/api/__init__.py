"""HTTP only: parse, delegate, answer."""
