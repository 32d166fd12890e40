"""The methods: one plain-Python step each."""

from __future__ import annotations

from streamnorm.kernels.method import Method
from streamnorm.kernels.methods.adaptive import ADAPTIVE
from streamnorm.kernels.methods.batch import BATCH
from streamnorm.kernels.methods.batch_renorm import BATCH_RENORM
from streamnorm.kernels.methods.online import CUMULATIVE, ONLINE
from streamnorm.kernels.methods.online_2019 import ONLINE_2019
from streamnorm.kernels.methods.streaming import STREAMING

METHODS: dict[str, Method] = {
    method.name: method for method in (ONLINE, ADAPTIVE, CUMULATIVE, BATCH, BATCH_RENORM, STREAMING, ONLINE_2019)
}
