"""The codecs of each kind of route; the first one is the default for bodies without a media type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from streamnorm.api.codecs.arrays.npy import NpyCodec
from streamnorm.api.codecs.arrays.npz_blocks import NpzCodec
from streamnorm.api.codecs.codec import ReadingCodec
from streamnorm.api.codecs.devices.line_protocol import LineProtocolCodec
from streamnorm.api.codecs.devices.remote_write import RemoteWriteCodec
from streamnorm.api.codecs.devices.senml import SenMLCBORCodec, SenMLCodec
from streamnorm.api.codecs.json.many import ManyJSONCodec
from streamnorm.api.codecs.json.ndjson import ManyNDJSONCodec, NDJSONCodec
from streamnorm.api.codecs.json.table import TableJSONCodec

Codecs = Mapping[str, ReadingCodec]


def _by_media_type(codecs: Sequence[Any]) -> Codecs:
    return {codec.media_type: codec for codec in codecs}


#: for bulk readings of one stream
OF_STREAM: Codecs = _by_media_type([TableJSONCodec(), NDJSONCodec(), NpyCodec(), SenMLCodec(), SenMLCBORCodec()])
#: for readings that name their streams
OF_MANY: Codecs = _by_media_type([ManyJSONCodec(), ManyNDJSONCodec(), NpzCodec()])
#: for one reading, besides JSON
OF_READING: Codecs = _by_media_type([SenMLCodec(), SenMLCBORCodec()])
#: for Prometheus's remote write, as a mapping decodes it
REMOTE_WRITE = RemoteWriteCodec()
#: for InfluxDB's write calls
LINE_PROTOCOL: ReadingCodec = LineProtocolCodec()
