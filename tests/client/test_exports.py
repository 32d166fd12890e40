"""The public names, pinned: adding or removing one is a decision."""

from __future__ import annotations

import streamnorm_client

#: part of the package's face once they are imported
MODULES = {"pytest_plugin", "testing"}
CLIENTS = {"AsyncClient", "AsyncLive", "AsyncStream", "Client", "Live", "Outbox", "Response", "Stream"}
ANSWERS = {
    "Advice",
    "Answer",
    "Block",
    "Configured",
    "Denormalized",
    "EffectiveParameter",
    "Event",
    "FeatureAdvice",
    "FeatureProfile",
    "Health",
    "KindChange",
    "MatchedMapping",
    "Normalized",
    "Page",
    "Profile",
    "Refusal",
    "RefusedExample",
    "ReloadedConfig",
    "RuleSource",
    "StreamInfo",
    "StreamRules",
}
ERRORS = {
    "Closed",
    "InvalidArgument",
    "MissingDependency",
    "NotSupported",
    "OutboxCorrupt",
    "OutboxError",
    "OutboxForked",
    "OutboxInUse",
    "OutboxUnwritable",
    "StreamInUse",
    "WrongType",
    "BodyTooLarge",
    "BridgeUnavailable",
    "CannotInvert",
    "CannotMerge",
    "ConnectionFailed",
    "Fault",
    "Forbidden",
    "HeadTooLarge",
    "InternalError",
    "InvalidConfiguration",
    "InvalidInput",
    "InvalidReading",
    "InvalidRequest",
    "InvalidSnapshot",
    "LimitExceeded",
    "MalformedGzip",
    "MalformedJson",
    "MalformedRequest",
    "MappingNotFound",
    "MethodNotAllowed",
    "NotAcceptable",
    "NotFound",
    "NotReady",
    "Overloaded",
    "Problem",
    "RequestTimeout",
    "StaleSequence",
    "StoreUnavailable",
    "StreamNotFound",
    "StreamnormError",
    "TimedOut",
    "TooManyRequests",
    "TooManyStreams",
    "TransportError",
    "Unauthorized",
    "UnexpectedAnswer",
    "Unimplemented",
    "UnsupportedMediaType",
    "UriTooLong",
}


def test_the_package_exports_these_names_and_no_others() -> None:
    assert set(streamnorm_client.__all__) == CLIENTS | ANSWERS | ERRORS


def test_every_public_name_of_the_package_is_exported_on_purpose() -> None:
    public = {name for name in vars(streamnorm_client) if not name.startswith(("_", "@"))}  # pytest adds names with @
    assert public - MODULES == set(streamnorm_client.__all__)
