"""Which recordings are meant, their rows chunk by chunk, and the readings of streams in them."""
