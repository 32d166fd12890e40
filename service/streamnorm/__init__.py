"""streamnorm normalizes sensor readings as they arrive, one at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streamnorm.normalizer import Normalizer

__all__ = ["Normalizer", "__version__"]

__version__ = "0.2.0"


def __getattr__(name: str) -> Any:
    """Import what works in process when it is asked for: `import streamnorm` alone stays light."""
    if name == "Normalizer":
        from streamnorm.normalizer import Normalizer  # noqa: PLC0415

        return Normalizer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
