"""Small networks on scikit-learn's digits: `layers.OnlineNorm` one sample at a time, and batch normalization.

Three linear layers (64 → 64 → 32 → 10), a normalization and a ReLU behind the first two, stochastic gradient descent.
"""

from __future__ import annotations

import itertools
from typing import Protocol

import numpy as np
from sklearn.datasets import load_digits

from streamnorm.layers import OnlineNorm
from tests.benchmarks.quality.contenders import Array
from tests.benchmarks.quality.data import Data
from tests.benchmarks.quality.report import Part, at_least, table

WIDTHS = (64, 64, 32, 10)
EPOCHS, TRAINED, SEEDS = 15, 1347, 3
ONLINE_RATE, BATCH_RATE, BATCH = 0.01, 0.3, 32
MOMENTUM, EPS = 0.1, 1e-5


class Normalization(Protocol):
    """A layer that normalizes."""

    gamma: Array
    beta: Array
    gamma_grad: Array
    beta_grad: Array
    mean: Array
    var: Array

    def forward(self, x: Array, /) -> Array:
        """Normalize samples."""
        ...

    def backward(self, grad: Array, /) -> Array:
        """Return the gradient of the inputs."""
        ...


class BatchNorm:
    """Batch normalization (Ioffe and Szegedy 2015)."""

    def __init__(self, features: int) -> None:
        self.gamma, self.beta = np.ones(features), np.zeros(features)
        self.gamma_grad, self.beta_grad = np.zeros(features), np.zeros(features)
        self.mean, self.var = np.zeros(features), np.ones(features)
        self._y: Array = np.zeros((0, features))
        self._std: Array = np.ones(features)

    def forward(self, x: Array, /) -> Array:
        """Normalize a batch."""
        self._std = np.sqrt(x.var(axis=0) + EPS)
        self._y = (x - x.mean(axis=0)) / self._std
        self.mean = self.mean + MOMENTUM * (x.mean(axis=0) - self.mean)
        self.var = self.var + MOMENTUM * (x.var(axis=0) - self.var)
        mapped: Array = self._y * self.gamma + self.beta
        return mapped

    def backward(self, grad: Array, /) -> Array:
        """Return the gradient of the batch's inputs."""
        self.gamma_grad, self.beta_grad = (grad * self._y).sum(axis=0), grad.sum(axis=0)
        inner = grad * self.gamma
        back: Array = (inner - inner.mean(axis=0) - self._y * (inner * self._y).mean(axis=0)) / self._std
        return back


class Network:
    """Linear layers with a normalization and a ReLU between them."""

    def __init__(self, rng: np.random.Generator, *, online: bool) -> None:
        sizes = list(itertools.pairwise(WIDTHS))
        self.weights = [rng.normal(size=size) * np.sqrt(2.0 / size[0]) for size in sizes]
        self.norms: list[Normalization] = [OnlineNorm(n) if online else BatchNorm(n) for n in WIDTHS[1:-1]]

    def train(self, x: Array, labels: Array, rate: float) -> None:
        """Take one step down the cross entropy's gradient."""
        inputs, signs = [x], []
        for weight, norm in zip(self.weights, self.norms, strict=False):
            y = norm.forward(inputs[-1] @ weight)
            signs.append(y > 0)
            inputs.append(np.maximum(y, 0.0))
        out = inputs[-1] @ self.weights[-1]
        grad = np.exp(out - out.max(axis=1, keepdims=True))
        grad /= grad.sum(axis=1, keepdims=True)
        grad[np.arange(len(x)), labels.astype(int)] -= 1.0
        grad /= len(x)
        for place in range(len(self.weights) - 1, -1, -1):
            step = inputs[place].T @ grad
            grad = grad @ self.weights[place].T
            self.weights[place] = self.weights[place] - rate * step
            if place:
                norm = self.norms[place - 1]
                grad = norm.backward(grad * signs[place - 1])
                norm.gamma = norm.gamma - rate * norm.gamma_grad
                norm.beta = norm.beta - rate * norm.beta_grad

    def right(self, x: Array, labels: Array) -> float:
        """Return the share of right answers, by the statistics of training."""
        for weight, norm in zip(self.weights, self.norms, strict=False):
            x = (x @ weight - norm.mean) / np.sqrt(norm.var + EPS) * norm.gamma + norm.beta
            x = np.maximum(x, 0.0)
        return float(((x @ self.weights[-1]).argmax(axis=1) == labels).mean())


def trained(seed: int, *, online: bool) -> float:
    """Return the share of right answers on what was held back."""
    rng = np.random.default_rng(seed)
    digits = load_digits()
    order = rng.permutation(len(digits.target))
    x, labels = digits.data[order] / 16.0, digits.target[order]
    network = Network(rng, online=online)
    size, rate = (1, ONLINE_RATE) if online else (BATCH, BATCH_RATE)
    for epoch in range(EPOCHS):
        mixed = rng.permutation(TRAINED)
        for at in range(0, TRAINED - size + 1, size):
            some = mixed[at : at + size]
            network.train(x[some], labels[some], rate * (1.0 - epoch / EPOCHS))
    return network.right(x[TRAINED:], labels[TRAINED:])


def measure(_data: Data) -> Part:
    """Train each over some seeds."""
    found = {online: [trained(seed, online=online) for seed in range(SEEDS)] for online in (True, False)}
    names = {True: "`layers.OnlineNorm`, one sample at a time", False: f"batch normalization, batches of {BATCH}"}
    rows = [
        (names[online], f"{np.mean(right):.3f}", f"{min(right):.3f} to {max(right):.3f}")
        for online, right in found.items()
    ]
    goal = at_least(
        "digits, OnlineNorm less batch normalization", float(np.mean(found[True]) - np.mean(found[False])), -0.01
    )
    return Part("networks", table(("digits told apart", "in the mean", f"{SEEDS} seeds"), rows), [goal])
