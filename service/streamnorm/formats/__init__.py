"""The formats that devices and files speak, as pure functions on text, bytes and plain data: no I/O, no clock."""
