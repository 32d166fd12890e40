"""A client for streamnorm, which normalizes sensor readings as they arrive.

from streamnorm_client import Client

with Client("http://127.0.0.1:8000") as client:
    boiler = client.stream("boiler-7")
    print(boiler.observe({"temp": 21.4, "door": 0}).values)
"""

from streamnorm_client._async_client import AsyncClient
from streamnorm_client._async_stream import AsyncStream
from streamnorm_client._calls.call import Response
from streamnorm_client._client import Client
from streamnorm_client._errors import (
    Closed,
    ConnectionFailed,
    InvalidArgument,
    MissingDependency,
    NotSupported,
    OutboxCorrupt,
    OutboxError,
    OutboxForked,
    OutboxInUse,
    OutboxUnwritable,
    StreamInUse,
    StreamnormError,
    TimedOut,
    TransportError,
    UnexpectedAnswer,
    WrongType,
)
from streamnorm_client._http.events import Event, KindChange
from streamnorm_client._live.async_live import AsyncLive
from streamnorm_client._live.sync_live import Live
from streamnorm_client._models import (
    Answer,
    Block,
    Configured,
    Denormalized,
    FeatureProfile,
    Health,
    Normalized,
    Page,
    Profile,
    StreamInfo,
)
from streamnorm_client._outbox.sender import Outbox
from streamnorm_client._problems import (
    BodyTooLarge,
    CannotInvert,
    CannotMerge,
    Fault,
    Forbidden,
    InternalError,
    InvalidConfiguration,
    InvalidInput,
    InvalidReading,
    InvalidRequest,
    InvalidSnapshot,
    LimitExceeded,
    MalformedGzip,
    MalformedJson,
    MethodNotAllowed,
    NotAcceptable,
    NotFound,
    Overloaded,
    Problem,
    RequestTimeout,
    StaleSequence,
    StoreUnavailable,
    StreamNotFound,
    TooManyRequests,
    TooManyStreams,
    Unauthorized,
    UnsupportedMediaType,
)
from streamnorm_client._stream import Stream

__version__ = "0.2.0"

__all__ = [
    "Answer",
    "AsyncClient",
    "AsyncLive",
    "AsyncStream",
    "Block",
    "BodyTooLarge",
    "CannotInvert",
    "CannotMerge",
    "Client",
    "Closed",
    "Configured",
    "ConnectionFailed",
    "Denormalized",
    "Event",
    "Fault",
    "FeatureProfile",
    "Forbidden",
    "Health",
    "InternalError",
    "InvalidArgument",
    "InvalidConfiguration",
    "InvalidInput",
    "InvalidReading",
    "InvalidRequest",
    "InvalidSnapshot",
    "KindChange",
    "LimitExceeded",
    "Live",
    "MalformedGzip",
    "MalformedJson",
    "MethodNotAllowed",
    "MissingDependency",
    "Normalized",
    "NotAcceptable",
    "NotFound",
    "NotSupported",
    "Outbox",
    "OutboxCorrupt",
    "OutboxError",
    "OutboxForked",
    "OutboxInUse",
    "OutboxUnwritable",
    "Overloaded",
    "Page",
    "Problem",
    "Profile",
    "RequestTimeout",
    "Response",
    "StaleSequence",
    "StoreUnavailable",
    "Stream",
    "StreamInUse",
    "StreamInfo",
    "StreamNotFound",
    "StreamnormError",
    "TimedOut",
    "TooManyRequests",
    "TooManyStreams",
    "TransportError",
    "Unauthorized",
    "UnexpectedAnswer",
    "UnsupportedMediaType",
    "WrongType",
]
