"""What the service, and the command line, ask of API keys, wherever these are stored."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Protocol

from streamnorm.auth.api_keys import ApiKey


class ApiKeys(Protocol):
    """What a service asks of its keys; every method raises StoreError while they cannot be read."""

    def open(self) -> None:
        """Read the keys before the service starts, where they can be read by then."""

    @property
    def known(self) -> Mapping[str, ApiKey]:
        """The keys by id; a new object whenever they may have changed."""

    def any(self) -> bool:
        """Return whether there is a key, revoked ones included."""

    def find(self, token: str) -> ApiKey | None:
        """Return the valid key that a token belongs to, or None, in time independent of the secret."""


class EditableApiKeys(Protocol):
    """What the command line asks of the keys; every method raises StoreError if they cannot be read or written."""

    def create(self, name: str, scopes: Collection[str], prefix: str = "") -> str:
        """Create a key called `name` with `scopes` for streams whose ids start with `prefix`; return its token."""

    def adopt(self, keys: Iterable[ApiKey]) -> int:
        """Add keys from another store, except those whose ids exist already; return how many were added."""

    def revoke(self, key_id: str) -> bool:
        """Revoke a key permanently; return whether there was such a key."""

    def all(self) -> list[ApiKey]:
        """List all keys, revoked ones included, the oldest first."""
