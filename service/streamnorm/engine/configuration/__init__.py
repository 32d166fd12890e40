"""How streams are configured: the parameters, rules that set them, and the plan that comes of it."""
