"""What devices send, turned into readings: mappings made from TOML tables, and presets of them.

No I/O but the presets' own files, no clock: a mapping is a pure function of a message.
"""

from streamnorm.mappings.catalogue import Catalogue, load_preset, mapping_of, preset_names
from streamnorm.mappings.mapping import Mapping, Message, StreamReading

__all__ = ["Catalogue", "Mapping", "Message", "StreamReading", "load_preset", "mapping_of", "preset_names"]
