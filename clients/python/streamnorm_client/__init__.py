"""A client for streamnorm, which normalizes sensor readings as they arrive.

from streamnorm_client import Client

with Client("http://127.0.0.1:8000") as client:
    boiler = client.stream("boiler-7")
    print(boiler.observe({"temp": 21.4, "door": 0}).values)
"""

from streamnorm_client._answers import (
    Answer,
    Block,
    Configured,
    Denormalized,
    FeatureProfile,
    Health,
    Normalized,
    Profile,
    StreamInfo,
)
from streamnorm_client._async_client import AsyncClient, AsyncStream
from streamnorm_client._client import Client, Stream
from streamnorm_client._errors import (
    BodyTooLarge,
    CannotInvert,
    CannotMerge,
    ConnectionFailed,
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
    StreamnormError,
    StreamNotFound,
    TimedOut,
    TooManyRequests,
    TooManyStreams,
    TransportError,
    Unauthorized,
    UnexpectedAnswer,
    UnsupportedMediaType,
)
from streamnorm_client._live import AsyncLive, Live
from streamnorm_client._outbox import Outbox

__version__ = "0.1.0"

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
    "Configured",
    "ConnectionFailed",
    "Denormalized",
    "Fault",
    "FeatureProfile",
    "Forbidden",
    "Health",
    "InternalError",
    "InvalidConfiguration",
    "InvalidInput",
    "InvalidReading",
    "InvalidRequest",
    "InvalidSnapshot",
    "LimitExceeded",
    "Live",
    "MalformedGzip",
    "MalformedJson",
    "MethodNotAllowed",
    "Normalized",
    "NotAcceptable",
    "NotFound",
    "Outbox",
    "Overloaded",
    "Problem",
    "Profile",
    "RequestTimeout",
    "StaleSequence",
    "StoreUnavailable",
    "Stream",
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
]
