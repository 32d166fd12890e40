"""A mapping: what one kind of device sends -> readings of streams.

Rules:

1. A pointer is of an element of `each`, or of the body where there is no `each`; what an element does not have is
   looked up in the whole body.
2. What names the stream, the time and the sequence number is never a feature.
3. Elements without a number are passed over while another one has one: a pack may hold what is nobody's. A message
   without any is refused, and the error says what would help.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping as AnyMapping
from dataclasses import dataclass, field
from datetime import tzinfo
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any, NamedTuple

from streamnorm.engine.limits import Limits
from streamnorm.engine.names import name_fault
from streamnorm.engine.reading import Reading, check_seq, parse_reading
from streamnorm.engine.validation import abbreviate
from streamnorm.errors import Fault, InvalidReading
from streamnorm.formats.ids import escaped, shortened
from streamnorm.formats.topics import TopicFilter
from streamnorm.mappings.bodies import otlp, remote_write, sparkplug
from streamnorm.mappings.bodies.documents import Format, opened, parse_body
from streamnorm.mappings.features import Leaf, Pointers, Selection, first
from streamnorm.mappings.heard import Heard
from streamnorm.mappings.numbers import number_in
from streamnorm.mappings.pointers import Found, Path, find, written
from streamnorm.mappings.templates import Absent, Template
from streamnorm.mappings.times import moment

#: the feature of a bare value that nothing names
DEFAULT_FEATURE = "value"
#: Texts that an error names.
MOST_NAMED = 3


@dataclass(frozen=True)
class Message:
    """What a device sent: `variables` are the query's parameters, and whatever else came beside the body."""

    body: bytes
    topic: str = ""
    variables: AnyMapping[str, str] = field(default_factory=dict)
    media_type: str = ""


class StreamReading(NamedTuple):
    """A reading of a stream, and the place in the body that it was made of."""

    stream: str
    reading: Reading
    pointer: str


class _Element(NamedTuple):
    """One reading's part of the document; `names` are what wildcards matched."""

    path: Path
    value: Any
    names: AnyMapping[str, str]


@dataclass(frozen=True)
class Mapping:
    """A mapping, checked; made by `mapping_of`."""

    name: str
    topics: tuple[TopicFilter, ...] = ()
    ignore_topics: tuple[str, ...] = ()
    format: Format = "auto"
    each: Pointers = ()
    root: Pointers = ((),)
    stream: Template = field(default_factory=lambda: Template("{stream}"))
    feature: Template = field(default_factory=lambda: Template(""))
    time: Pointers = ()
    time_zone: tzinfo | None = None
    seq: Pointers = ()
    selection: Selection = field(default_factory=Selection)
    hint: str = ""
    #: what births told of the aliases of Sparkplug's metrics
    aliases: sparkplug.Aliases = field(default_factory=sparkplug.Aliases, compare=False)
    #: the streams whose readings it made lately
    heard: Heard = field(default_factory=Heard, compare=False)

    def matches(self, topic: str) -> bool:
        """Return whether a message with this topic is for this mapping."""
        return any(each.matches(topic) for each in self.topics) and not self.ignores(topic)

    def ignores(self, topic: str) -> bool:
        """Return whether a topic that matches holds no reading: a bridge's own state, a command."""
        return any(fnmatchcase(topic, pattern) for pattern in self.ignore_topics)

    def readings(self, message: Message, limits: Limits) -> list[StreamReading]:
        """Turn a message into readings, in their order.

        Raises:
            InvalidReading: the message has none; the error names the mapping, the place, and what would help.

        """
        try:
            document = self._document(message)
            variables = {**message.variables, **self._levels(message)}
            found = [
                each for element in self._elements(document) for each in self._of(element, document, variables, limits)
            ]
        except InvalidReading as error:
            raise InvalidReading.of(
                [Fault(at, f"mapping {self.name!r}: {detail}") for at, detail in error.faults]
            ) from None
        if not found and self._is_empty(document):
            return []
        return found or self._nothing(document)

    def _is_empty(self, document: Any) -> bool:
        """Tell whether a request without a point is nothing to refuse, by its protocol."""
        if self.format == "remote-write":  # Prometheus sends metadata alone, each minute
            return not document["streams"]
        return self.format == "otlp" and not any(each["points"] for each in document["resources"])

    def _document(self, message: Message) -> Any:
        if self.format == "sparkplug":
            return self.aliases.document(message.body, message.topic)
        if self.format == "otlp":
            return otlp.parse_metrics(message.body)
        if self.format == "remote-write":
            return remote_write.parse_write(message.body)
        return parse_body(message.body, message.media_type, self.format)

    def _levels(self, message: Message) -> dict[str, str]:
        for topic in self.topics:
            levels = topic.levels_of(message.topic)
            if levels is not None:
                return levels
        return {}

    def _elements(self, document: Any) -> Iterator[_Element]:
        """Yield what becomes a reading each: where there is no `each`, an array's objects or the whole document."""
        for pointer in self.each or ((),):
            places = list(find(document, pointer))
            for path, value, names in places:
                if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
                    yield from (_Element((*path, str(at)), item, names) for at, item in enumerate(value))
                else:
                    yield _Element(path, value, names)
            if places:
                return
        tried = ", ".join(written(pointer) or "the body" for pointer in self.each)
        raise InvalidReading.at("", f"there is nothing at {tried} (each){self._help()}")

    def _of(
        self, element: _Element, document: Any, variables: AnyMapping[str, str], limits: Limits
    ) -> Iterator[StreamReading]:
        """Yield the readings of an element: several where `pairs` have times of their own."""

        def lookup(pointer: Path) -> Found | None:
            for found in find(element.value, pointer):
                return Found((*element.path, *found.path), found.value, found.names)
            return next(find(document, pointer), None)

        used = [self.time, self.seq, self.stream.pointers, self.feature.pointers]
        skip = {found.path for pointers in used for pointer in pointers if (found := lookup(pointer)) is not None}
        root = next(filter(None, map(lookup, self.root)), None)
        if root is None:
            return
        value = opened(root.value) if isinstance(root.value, str) and root.path else root.value
        names = {**variables, **element.names}
        prefix = self._feature(names, lookup)
        leaves = list(self.selection.leaves(value, "" if isinstance(prefix, Absent) else prefix, skip, root.path))
        groups = [group for group in _grouped(self._chosen(leaves)) if group]
        if not groups:
            return
        if isinstance(prefix, Absent):
            raise InvalidReading.at(written(element.path), self._absent("features", self.feature, prefix))
        stream = self._stream(names, lookup, written(element.path))
        seq, time = self._seq(lookup), self._time(self.time, lookup)
        for stamp, group in groups:
            own = time if stamp is None else self._moment(stamp, written(element.path)) or time
            reading = parse_reading(dict(group), limits, timestamp=own, seq=seq, pointer=written(root.path))
            yield StreamReading(stream, reading, written(element.path))

    def _chosen(self, leaves: list[Leaf]) -> Iterator[tuple[Any, str, Any]]:
        for _, name, value, stamp in leaves:
            named = name or DEFAULT_FEATURE
            number = self.selection.number(value) if self._is_chosen(named) else None
            if number is not None:
                yield stamp, named if name_fault(named) is None else shortened(escaped(named)), number

    @cached_property
    def _is_chosen(self) -> Any:
        return self.selection.chooser()

    def _feature(self, names: AnyMapping[str, str], lookup: Any) -> str | Absent:
        try:
            return self.feature.filled(names, lookup)
        except Absent as error:
            return error

    def _stream(self, names: AnyMapping[str, str], lookup: Any, pointer: str) -> str:
        try:
            return shortened(self.stream.filled(names, lookup))
        except Absent as error:
            detail = self._absent("stream", self.stream, error)
        except ValueError as error:
            detail = str(error)
        raise InvalidReading.at(pointer, detail)

    def _absent(self, what: str, template: Template, error: Absent) -> str:
        wanted = [each for each in error.field.split("|") if each and not each.startswith("/")]
        there = f"; name it in the query (?{wanted[0]}=…) or give the topic (?topic=…)" if wanted else self._help()
        return f"its {what} {template.text!r} cannot be named: {{{error.field}}} is not in the message{there}"

    def _seq(self, lookup: Any) -> int | None:
        found = next(filter(None, map(lookup, self.seq)), None)
        if found is None or found.value is None:
            return None
        value = int(found.value) if isinstance(found.value, str) and found.value.isdecimal() else found.value
        if isinstance(value, bool) or not isinstance(value, int):
            raise InvalidReading.at(written(found.path), f"must be a whole number (seq), not {abbreviate(value)}")
        check_seq(value, written(found.path))
        return value

    def _time(self, pointers: Pointers, lookup: Any) -> float | None:
        for found in filter(None, map(lookup, pointers)):
            if found.value is not None:
                return self._moment(found.value, written(found.path))
        return None

    def _moment(self, value: Any, pointer: str) -> float | None:
        try:
            return moment(value, self.time_zone)
        except (ValueError, TypeError, OverflowError) as error:
            raise InvalidReading.at(pointer, f"{error} (time)") from None

    def _nothing(self, document: Any) -> list[StreamReading]:
        """Say why a message has no reading.

        Raises:
            InvalidReading: always.

        """
        prefix = f"mapping {self.name!r}: "
        roots: list[tuple[Path, Any]] = []
        for element in self._elements(document):
            place = first(element.value, self.root) or first(document, self.root)
            roots += () if place is None else [((*element.path, *place[0]), place[1])]
        if not roots:
            tried = ", ".join(written(pointer) for pointer in self.root)
            raise InvalidReading.at("", f"{prefix}there is nothing at {tried} (root){self._help()}")
        path, value = roots[0]
        leaves = list(self.selection.leaves(value, "", (), path))
        texts = [
            leaf for leaf in leaves if isinstance(leaf.value, str) and self._is_chosen(leaf.name or DEFAULT_FEATURE)
        ]
        advice = self._help()
        numbers = [leaf for leaf in texts if number_in(leaf.value) is not None]
        if numbers and self.selection.strings == "drop":
            shown = ", ".join(f"{leaf.name or 'it'} is the text {leaf.value!r:.40}" for leaf in numbers[:MOST_NAMED])
            advice = f': {shown}; strings = "number" takes such texts as numbers{advice}'
        elif texts:
            shown = ", ".join(f"{leaf.name or 'it'} is {leaf.value!r:.40}" for leaf in texts[:MOST_NAMED])
            advice = f": {shown}; states = {{ … }} gives texts a value{advice}"
        elif leaves and not any(self._is_chosen(leaf.name or DEFAULT_FEATURE) for leaf in leaves):
            advice = f": include and exclude leave out {', '.join(leaf.name for leaf in leaves[:MOST_NAMED])}{advice}"
        raise InvalidReading.at(written(path), f"{prefix}there is no number{advice}")

    def _help(self) -> str:
        return f"; {self.hint}" if self.hint else ""


def _grouped(values: Iterator[tuple[Any, str, Any]]) -> list[tuple[Any, dict[str, Any]]]:
    """Group values by their own times, in order; a name that comes again at one time begins another reading."""
    groups: list[tuple[Any, dict[str, Any]]] = []
    last: dict[Any, int] = {}
    for stamp, name, number in values:
        key = str(stamp)
        at = last.get(key)
        if at is None or name in groups[at][1]:
            last[key] = at = len(groups)
            groups.append((stamp, {}))
        groups[at][1][name] = number
    return groups
