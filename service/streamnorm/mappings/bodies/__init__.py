"""Bodies of messages, parsed into documents: JSON, forms, line protocol, and what others describe in protobuf."""
