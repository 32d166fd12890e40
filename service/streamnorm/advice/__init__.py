"""Advice: what somebody who knows sensors would write into `streamnorm.toml`, with the reason; never applied by itself.

It is judged from profiles and the recent past, and has no state of its own.
"""

from streamnorm.advice.judge import Advice, advise
from streamnorm.advice.toml import to_toml

__all__ = ["Advice", "advise", "to_toml"]
