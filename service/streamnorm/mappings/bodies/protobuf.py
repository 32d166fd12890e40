"""Messages of protobuf that are described here as data, for a library that is an extra."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

from streamnorm.errors import InvalidReading

#: name, number, and type of a field: one of protobuf's own, or the title of a message, of which there may be many
Field = tuple[str, int, str]


def message_class(messages: Mapping[str, Sequence[Field]], what: str, extra: str) -> Any:
    """Build protobuf's class of the first of several messages, given by their titles.

    Fields that are not described are passed over. `what` needs the library, and the `extra` of this package brings it.

    Raises:
        InvalidReading: protobuf is not installed.

    """
    try:
        descriptors = importlib.import_module("google.protobuf.descriptor_pb2")
        pools = importlib.import_module("google.protobuf.descriptor_pool")
        factory = importlib.import_module("google.protobuf.message_factory")
    except ModuleNotFoundError:
        raise InvalidReading.at("", f"{what} needs protobuf: pip install 'streamnorm[{extra}]'") from None
    file = descriptors.FileDescriptorProto(name=f"streamnorm/{extra}.proto", package="streamnorm", syntax="proto2")
    field = descriptors.FieldDescriptorProto
    for title, fields in messages.items():
        message = file.message_type.add(name=title)
        for name, number, kind in fields:
            if kind in messages:
                many, known = field.LABEL_REPEATED, field.TYPE_MESSAGE
                message.field.add(name=name, number=number, type=known, label=many, type_name=f".streamnorm.{kind}")
            else:
                known = getattr(field, f"TYPE_{kind}")
                message.field.add(name=name, number=number, type=known, label=field.LABEL_OPTIONAL)
    pool = pools.DescriptorPool()
    pool.Add(file)
    return factory.GetMessageClass(pool.FindMessageTypeByName(f"streamnorm.{next(iter(messages))}"))


def parsed(message: Any, body: bytes, what: str) -> Any:
    """Parse a body as a message of this class.

    Raises:
        InvalidReading: it is not `what`.

    """
    found = message()
    try:
        found.ParseFromString(body)
    except Exception as error:  # noqa: BLE001 - the library's DecodeError, known only where it is installed
        raise InvalidReading.at("", f"the body is no {what}: {error}") from None
    return found
