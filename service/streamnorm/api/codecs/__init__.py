"""The bodies that readings come and go in, one media type a file."""
