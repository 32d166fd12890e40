"""The transport to a service in this process, for tests."""
