"""The tokens of API keys: `sn_<id>_<secret>`.

The secret has 256 random bits, so its SHA-256 reveals nothing about it and a slow hash is unnecessary.
"""

from __future__ import annotations

import hashlib
import secrets

START = "sn_"


def new_token() -> tuple[str, str]:
    """Return a new key's id, and its token."""
    key_id = secrets.token_hex(4)
    return key_id, f"{START}{key_id}_{secrets.token_urlsafe(32)}"


def key_id_of(token: str) -> str:
    """Return the id in a token, whatever the token may be.

    >>> key_id_of("sn_1a2b3c4d_secret"), key_id_of("")
    ('1a2b3c4d', '')
    """
    return token[len(START) :].partition("_")[0]


def hash_token(token: str) -> bytes:
    """Return the SHA-256 digest under which a token is stored."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
