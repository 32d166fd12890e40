"""`streamnorm filter`: lines of readings in, the same lines normalized out, as they come."""
