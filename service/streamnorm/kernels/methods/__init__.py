"""The methods: one plain-Python step each."""
