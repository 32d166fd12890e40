"""The work: recordings one after the other, chunk by chunk, with a journal of what is done."""
