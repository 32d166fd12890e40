"""Online Normalization as a layer to train with, forward and backward, in NumPy.

V. Chiley, I. Sharma, S. Koliousis and others, *Online Normalization for Training Neural Networks* (NeurIPS 2019). The
forward pass is the method `online-2019`. The exact gradient would reach back through all past samples; the paper's
control process replaces it by two accumulated errors a feature, which hold the gradient orthogonal to the output and
to 1 (equations 10 to 12), for y before affine map and compensation and σ = √(S + ε) from before the sample:

    g̃ = g − (1−α_b)·ε_y·y        ε_y ← ε_y + mean(g̃·y)
    g_x = g̃/σ − (1−α_b)·ε_1      ε_1 ← ε_1 + mean(g_x)

the means taken over a channel's elements.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from streamnorm.errors import ShapeMismatch

Array = npt.NDArray[np.float64]
Compensation = Literal["clamp", "layer-scaling", "none"]

LAYER_SCALING_EPS = 1e-5


class OnlineNorm:
    """Normalize samples one after another, and send gradients back through it.

    Arrays have the shape (samples, features) or, for channels, (samples, features, …): a feature's further axes share
    its mean and variance. `gamma` and `beta` are learned: after `backward`, `gamma_grad` and `beta_grad` hold the sums
    of their gradients over the block. `alpha_fwd` and `alpha_bkw` are the decays of the statistics and of the errors.

    >>> layer = OnlineNorm(2, alpha_fwd=0.9, compensation="none")
    >>> layer.forward([[1.0, 2.0], [1.0, -2.0]]).round(3)
    array([[ 1.   ,  2.   ],
           [ 0.905, -1.96 ]])
    >>> layer.backward([[1.0, 0.0], [0.0, 1.0]]).round(3)
    array([[ 1.   ,  0.   ],
           [-0.019,  0.891]])
    """

    def __init__(
        self,
        features: int,
        *,
        alpha_fwd: float = 0.999,
        alpha_bkw: float = 0.99,
        eps: float = 1e-5,
        compensation: Compensation = "clamp",
        clamp: float = 5.0,
    ) -> None:
        self.features = features
        self.alpha_fwd = alpha_fwd
        self.alpha_bkw = alpha_bkw
        self.eps = eps
        self.compensation: Compensation = compensation
        self.clamp = clamp
        self.gamma: Array = np.ones(features)
        self.beta: Array = np.zeros(features)
        self.gamma_grad: Array = np.zeros(features)
        self.beta_grad: Array = np.zeros(features)
        self.mean: Array = np.zeros(features)
        self.var: Array = np.ones(features)
        self._error_y: Array = np.zeros(features)
        self._error_1: Array = np.zeros(features)
        self._std: Array = np.empty((0, features))
        self._normalized: Array = np.empty((0, features))
        self._mapped: Array = np.empty((0, features))

    def forward(self, x: npt.ArrayLike) -> Array:
        """Normalize a block of samples in order, and learn from them.

        Raises:
            ShapeMismatch: the second axis is not as long as there are features.

        """
        samples = np.asarray(x, dtype=np.float64)
        if samples.ndim < 2 or samples.shape[1] != self.features:  # noqa: PLR2004 - samples and features
            shape = f"(samples, {self.features}, …)"
            raise ShapeMismatch(f"x has the shape {samples.shape}, expected {shape}")
        inner = tuple(range(2, samples.ndim))
        means, variances = samples.mean(axis=inner), samples.var(axis=inner)
        before = np.empty_like(means)
        self._std = np.empty_like(means)
        alpha = self.alpha_fwd
        for t in range(len(samples)):
            before[t] = self.mean
            self._std[t] = np.sqrt(self.var + self.eps)
            delta = means[t] - self.mean
            self.var = alpha * self.var + (1 - alpha) * variances[t] + alpha * (1 - alpha) * delta * delta
            self.mean = alpha * self.mean + (1 - alpha) * means[t]
        self._normalized = (samples - _like(before, samples)) / _like(self._std, samples)
        self._mapped = self._normalized * _like(self.gamma, samples) + _like(self.beta, samples)
        return self._compensated()

    def backward(self, grad: npt.ArrayLike) -> Array:
        """Turn the gradient of the last block's outputs into that of its inputs; sets `gamma_grad` and `beta_grad`.

        Raises:
            ShapeMismatch: the gradient has not the shape of the last block.

        """
        outer = np.asarray(grad, dtype=np.float64)
        if outer.shape != self._mapped.shape:
            raise ShapeMismatch(f"the gradient has the shape {outer.shape}, the last block {self._mapped.shape}")
        outer = self._uncompensated(outer)
        but_features = (0, *range(2, outer.ndim))
        self.gamma_grad = (outer * self._normalized).sum(axis=but_features)
        self.beta_grad = outer.sum(axis=but_features)
        return self._controlled(outer * _like(self.gamma, outer))

    def _controlled(self, outer: Array) -> Array:
        out = np.empty_like(outer)
        inner = tuple(range(1, outer.ndim - 1))
        forget = 1 - self.alpha_bkw
        for t in range(len(outer)):
            y = self._normalized[t]
            kept = outer[t] - _like(forget * self._error_y, y, axis=0) * y
            self._error_y = self._error_y + (kept * y).mean(axis=inner)
            out[t] = kept / _like(self._std[t], y, axis=0) - _like(forget * self._error_1, y, axis=0)
            self._error_1 = self._error_1 + out[t].mean(axis=inner)
        return out

    def _rms(self) -> Array:
        """Return the root mean square of each sample's elements, as layer scaling divides by it."""
        elements = tuple(range(1, self._mapped.ndim))
        square: Array = np.mean(self._mapped * self._mapped, axis=elements, keepdims=True)
        return np.sqrt(square + LAYER_SCALING_EPS)

    def _compensated(self) -> Array:
        if self.compensation == "clamp":
            return np.clip(self._mapped, -self.clamp, self.clamp)
        if self.compensation == "layer-scaling":
            return self._mapped / self._rms()
        return self._mapped.copy()

    def _uncompensated(self, outer: Array) -> Array:
        if self.compensation == "clamp":
            return np.where(np.abs(self._mapped) <= self.clamp, outer, 0.0)
        if self.compensation == "layer-scaling":
            rms = self._rms()
            scaled = self._mapped / rms
            elements = tuple(range(1, outer.ndim))
            along: Array = np.mean(outer * scaled, axis=elements, keepdims=True)
            return (outer - scaled * along) / rms
        return outer


def _like(a: Array, whole: Array, *, axis: int = 1) -> Array:
    """Reshape values a feature (or a sample and a feature) so that they broadcast over a feature's further axes."""
    return a.reshape(a.shape + (1,) * (whole.ndim - 1 - axis))
