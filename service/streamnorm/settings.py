"""Settings: environment variables `STREAMNORM_…`, and options of `streamnorm serve` by the same names."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from streamnorm.engine import limits
from streamnorm.engine.config import DEFAULT_HORIZON, DEFAULT_WARMUP
from streamnorm.kernels import METHODS

MIB = 1024 * 1024
#: A reading is a line of numbers; a megabyte holds an image of 300 × 300 as JSON.
DEFAULT_MAX_READING_BYTES = 1 * MIB
#: JSON costs about eight times its size while it is parsed: half a gigabyte here.
DEFAULT_MAX_BLOCK_BYTES = 64 * MIB
#: An array is not parsed: it takes its own size twice, once for the answer.
DEFAULT_MAX_BINARY_BYTES = 1024 * MIB


class Settings(BaseSettings):
    """Everything that can be set; each field is an environment variable and an option."""

    model_config = SettingsConfigDict(
        env_prefix="STREAMNORM_", extra="ignore", frozen=True, use_attribute_docstrings=True
    )

    host: str = "127.0.0.1"
    """address to listen on"""
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    """port to listen on; 0 takes a free one"""
    data_dir: Path = Path("streamnorm-data")
    """folder for the state"""
    store: Literal["sqlite", "memory"] = "sqlite"
    """where state rests: sqlite (a file in the data folder) or memory (lost at the end)"""
    durability: Literal["always", "everysec", "no"] = "everysec"
    """when a change is on disk: always (before it is answered), everysec (about a second later), no (at the end)"""
    method: Literal[tuple(METHODS)] = "online"  # type: ignore[valid-type]
    """method of streams that are not configured"""
    horizon: Annotated[float, Field(gt=1)] = DEFAULT_HORIZON
    """horizon, in readings, of streams that are not configured"""
    warmup: Annotated[int, Field(ge=0)] = DEFAULT_WARMUP
    """readings a feature needs before its answers are ready, in streams that are not configured"""
    max_reading_bytes: Annotated[int, Field(gt=0)] = DEFAULT_MAX_READING_BYTES
    """largest body of one reading, in bytes"""
    max_block_bytes: Annotated[int, Field(gt=0)] = DEFAULT_MAX_BLOCK_BYTES
    """largest JSON or NDJSON body of a block, in bytes"""
    max_binary_bytes: Annotated[int, Field(gt=0)] = DEFAULT_MAX_BINARY_BYTES
    """largest npy or npz body, in bytes"""
    max_rows: Annotated[int, Field(gt=0)] = limits.DEFAULT_MAX_ROWS
    """most rows of a block"""
    max_features: Annotated[int, Field(gt=0)] = limits.DEFAULT_MAX_FEATURES
    """most features of a stream"""
    max_elements: Annotated[int, Field(gt=0)] = limits.DEFAULT_MAX_ELEMENTS
    """most elements of a channel"""
    max_ahead: Annotated[float, Field(ge=0)] = limits.DEFAULT_MAX_AHEAD
    """how far, in seconds, a reading's timestamp may lie ahead of the clock"""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """least severity of what is logged to standard error"""

    @property
    def stream_defaults(self) -> dict[str, object]:
        """The configuration of streams that are not configured."""
        return {"method": self.method, "horizon": self.horizon, "warmup": self.warmup}

    @property
    def limits(self) -> limits.Limits:
        """What the engine accepts."""
        return limits.Limits(self.max_features, self.max_elements, self.max_rows, self.max_ahead)
