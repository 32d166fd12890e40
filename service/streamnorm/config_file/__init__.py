"""The file `streamnorm.toml`: what it says, what it may say, and what it does to a stream."""

from streamnorm.config_file.file import ConfigFile, Table, parse, read

__all__ = ["ConfigFile", "Table", "parse", "read"]
