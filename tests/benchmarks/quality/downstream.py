"""What normalized readings are good for: anomalies, whether a room is occupied, models that learn as they go."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from river import datasets, linear_model, metrics, preprocessing
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from streamnorm.adapters.river import StreamNormalizer
from tests.benchmarks.quality import nab
from tests.benchmarks.quality.contenders import CONTENDERS, Contender
from tests.benchmarks.quality.data import Data
from tests.benchmarks.quality.report import Part, at_least, at_most, table

DIVERGED = 1e6
SENSORS = ("temperature", "humidity", "co2", "humidity_ratio")
SPANS = (256.0, 1000.0)
#: what anomalies and occupancy are to reach, where they are the recordings
ANOMALIES, OCCUPIED = (40.0, 36.0), 0.89

#: river's bundled sets of numbers: how to make the set, the model, and what is measured
SETS: dict[str, tuple[Callable[[], Any], Callable[[], Any], Callable[[], Any]]] = {
    "Phishing": (datasets.Phishing, linear_model.LogisticRegression, metrics.Accuracy),
    "Bananas": (datasets.Bananas, linear_model.LogisticRegression, metrics.Accuracy),
    "ImageSegments": (datasets.ImageSegments, linear_model.SoftmaxRegression, metrics.Accuracy),
    "TrumpApproval": (datasets.TrumpApproval, linear_model.LinearRegression, metrics.MAE),
    "ChickWeights": (datasets.ChickWeights, linear_model.LinearRegression, metrics.MAE),
}
SCALERS: dict[str, Callable[[], Any]] = {
    "`online`": StreamNormalizer,
    "`adaptive`": lambda: StreamNormalizer({"method": "adaptive"}),
    "`cumulative`": lambda: StreamNormalizer({"method": "cumulative"}),
    "river `StandardScaler`": preprocessing.StandardScaler,
    "river `AdaptiveStandardScaler`": preprocessing.AdaptiveStandardScaler,
    "river `MinMaxScaler`": preprocessing.MinMaxScaler,
}


def occupancy(data: Data, normalize: Contender, span: float) -> float:
    """Return the area under the ROC curve of telling occupancy in the second half by a model of the first."""
    rows = np.stack([normalize(data.room[name], span) for name in SENSORS], axis=1)
    occupied = data.room["occupancy"]
    half = len(occupied) // 2
    model = LogisticRegression(max_iter=1000).fit(rows[:half], occupied[:half])
    return float(roc_auc_score(occupied[half:], model.predict_proba(rows[half:])[:, 1]))


def progressive(name: str, make: Callable[[], Any]) -> float:
    """Return the error of river's progressive validation: each sample is predicted, then learned."""
    data, model, metric = (each() for each in SETS[name])
    scaler = make()
    for x, y in data:
        numbers = {key: float(value) for key, value in x.items() if isinstance(value, int | float)}
        metric.update(y, model.predict_one(scaler.transform_one(numbers)) or 0)
        scaler.learn_one(numbers)
        model.learn_one(scaler.transform_one(numbers), y)
    value = float(metric.get())
    return 1.0 - value if isinstance(metric, metrics.Accuracy) else value


def told(error: float) -> str:
    """Write an error."""
    return f"{error:.3f}" if error < DIVERGED else "diverged"


def measure(data: Data) -> Part:
    """Measure anomalies and occupancy at two T, and the models."""
    rows, goals = [], []
    for name, normalize in CONTENDERS.items():
        scores = [nab.score(data.anomalies, normalize, span) for span in SPANS]
        areas = [occupancy(data, normalize, span) for span in SPANS]
        rows.append((name, *(f"{value:.1f}" for value in scores), *(f"{value:.3f}" for value in areas)))
        if name == "`adaptive`":
            for span, found, wanted in zip(SPANS, scores, ANOMALIES, strict=True):
                goals.append(at_least(f"anomalies, standard score, T = {span:g}", found, wanted))
            goals.append(at_least("occupancy, AUC, T = 256", areas[0], OCCUPIED))
    head = ("downstream", "anomalies, T = 256", "T = 1000", "occupancy, AUC, T = 256", "T = 1000")
    errors = {name: [progressive(which, make) for which in SETS] for name, make in SCALERS.items()}
    usual = errors["river `StandardScaler`"]
    ratios = {name: math.exp(np.mean(np.log(np.divide(found, usual)))) for name, found in errors.items()}
    models = [(name, *map(told, found), told(ratios[name])) for name, found in errors.items()]
    goals.append(at_most("river's sets, error over that with StandardScaler, in the mean", ratios["`adaptive`"], 1.0))
    goals.append(at_most("the same of `online`", ratios["`online`"], 1.0))
    text = table(head, rows) + "\n" + table(("error of", *SETS, "over StandardScaler's"), models)
    return Part("downstream", text, goals)
