"""Tables as arrays in memory layout, which are read and written without a copy."""
