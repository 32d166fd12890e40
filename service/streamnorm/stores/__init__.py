"""Where state rests between readings: stores keep blobs under ids and know nothing of what is in them."""
