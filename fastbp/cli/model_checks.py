"""Checks of a fitted estimator from a file: it is as `train` writes it, and its parts fit together.

Without these checks, a prediction could need any amount of memory, or fail with any kind of error. It could not crash,
because networks check their own weights in each prediction, and NumPy checks the bounds of each index.
"""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from ..encoding import Feature, NumberEncoder, OneHotEncoder, TargetMeanEncoder
from ..encoding.encoder import TableEncoder
from ..encoding.text import FORMATS
from ..estimators.classifier import BackpropClassifier
from ..estimators.regressor import BackpropRegressor
from ..tabular.classifier import TabularClassifier
from ..tabular.regressor import TabularRegressor

NETWORKS = {TabularClassifier: BackpropClassifier, TabularRegressor: BackpropRegressor}
PLAIN = (type(None), bool, int, float, str, list, tuple)  # a parameter has one of these types
# For each kind of column, the keys of its encoders and their classes.
PARTS: dict[str, dict[str, type]] = {
    "numbers": {"": NumberEncoder},
    "categories": {"onehot": OneHotEncoder, "target": TargetMeanEncoder},
    "dates": {
        **dict.fromkeys(("days", "day"), NumberEncoder),
        **dict.fromkeys(("month", "weekday", "hour"), OneHotEncoder),
    },
}


def check_estimator(estimator: Any) -> None:
    """Raise an error of any kind unless this is a fitted estimator of `train`, with parts that fit together."""
    _need(type(estimator) in NETWORKS, f"its estimator is {type(estimator).__name__}")
    _check_parameters(estimator)
    encoders, networks = estimator.encoders_, estimator.networks_
    _need(type(encoders) is type(networks) is list, "encoders_ and networks_ are not lists")
    _need(0 < len(encoders) == len(networks), f"it has {len(encoders)} encoders and {len(networks)} lists of networks")
    for encoder, members in zip(encoders, networks, strict=True):
        n_outputs = _check_encoder(encoder)
        same = encoder.column_kinds_ == encoders[0].column_kinds_ == estimator.column_kinds_
        _need(same, "column_kinds_ are not those of all encoders")
        _need(type(members) is list and len(members) > 0, "an encoder has no networks")
        for network in members:
            _need(type(network) is NETWORKS[type(estimator)], f"a network is {type(network).__name__}")
            _check_parameters(network)
            reads = network.n_features_in_ == n_outputs
            _need(reads, f"a network does not read the {n_outputs} outputs of its encoder")
            same = type(estimator) is TabularRegressor or _is_equal(network.classes_, estimator.classes_)
            _need(same, "a network has other classes")
    if type(estimator) is TabularRegressor:
        _need(type(estimator.n_outputs_) is int and estimator.n_outputs_ == 1, "n_outputs_ is not 1")
        for name in ("factor", "center", "scale", "low", "high"):
            _check_floats(estimator._unit[name], (1,), f"_unit[{name!r}]")
    _predict(estimator, encoders[0])


def _need(condition: bool, otherwise: str) -> None:
    """Raise ValueError with the words `otherwise` unless the condition holds."""
    if not condition:
        raise ValueError(otherwise)


def _check_parameters(estimator: BaseEstimator) -> None:
    for name, value in estimator.get_params(deep=False).items():
        _need(type(value) in PLAIN, f"{type(estimator).__name__}.{name} is {type(value).__name__}")
    estimator._validate_params()


def _check_encoder(encoder: Any) -> int:
    """Check a TableEncoder; returns the number of its outputs."""
    _need(type(encoder) is TableEncoder, f"an encoder is {type(encoder).__name__}")
    _check_parameters(encoder)
    names, n = encoder.feature_names_in_, encoder.n_features_in_
    _need(type(n) is int and type(names) is np.ndarray and names.shape == (n,), "feature_names_in_ are not its columns")
    _need(
        all(type(name) is str for name in names) and len(set(names)) == n, "feature_names_in_ are not different texts"
    )
    _need(type(encoder.is_sparse_) is bool, "is_sparse_ is not a truth value")
    features = encoder._features
    _need(type(features) is list and len(features) > 0, "an encoder has no columns")
    for feature in features:
        _check_feature(feature, n)
    kinds = {names[feature.source]: feature.kind for feature in features}
    _need(type(encoder.column_kinds_) is dict and encoder.column_kinds_ == kinds, "column_kinds_ are not its columns")
    _need(len(kinds) == len(features), "an encoder reads a column twice")
    return sum(feature.n_outputs for feature in features)


def _check_feature(feature: Any, n_columns: int) -> None:
    _need(type(feature) is Feature, f"a column is {type(feature).__name__}")
    _need(type(feature.source) is int and 0 <= feature.source < n_columns, "a column has no place in the table")
    _need(feature.kind in PARTS, f"a column holds {feature.kind!r:.50}")
    _need(feature.date_format in (None, *FORMATS), f"a format of dates is {feature.date_format!r:.50}")
    _need(type(feature.zone) in (str, type(None)), "Feature.zone is not a text")
    for name in ("reads_text", "is_strict", "indicates_missing"):
        _need(type(getattr(feature, name)) is bool, f"Feature.{name} is not a truth value")
    _need(type(feature.encoders) is dict, "Feature.encoders is not a dictionary")
    _need(bool(feature.encoders) or feature.indicates_missing, "a column has no outputs")
    for key, encoder in feature.encoders.items():
        kind = PARTS[feature.kind].get(key)
        _need(type(encoder) is kind, f"the part {key!r:.50} of {feature.kind} is {type(encoder).__name__}")
        CHECKS[type(encoder)](encoder)


def _check_number_encoder(encoder: NumberEncoder) -> None:
    _need(type(encoder.offset) is int and abs(encoder.offset) < 2**64, "NumberEncoder.offset is not an integer")
    for name in ("fill", "scale"):
        value = getattr(encoder, name)
        _need(isinstance(value, float) and bool(np.isfinite(value)), f"NumberEncoder.{name} is not a number")
    _need(type(encoder.is_binary) is type(encoder.is_scaled) is bool, "NumberEncoder.is_binary is not a truth value")
    for name, least in (("knots", 0.0), ("edges", np.nextafter(0.0, 1.0))):
        values = getattr(encoder, name)
        _check_floats(values, (len(values),), f"NumberEncoder.{name}")
        _need(bool((np.diff(values) >= least).all()), f"NumberEncoder.{name} are not in ascending order")
    _check_floats(encoder.scores, (len(encoder.knots),), "NumberEncoder.scores")
    _need(encoder.scale > 0, "NumberEncoder.scale is not above 0")
    _need(
        type(encoder.n_outputs) is int and encoder.n_outputs == len(encoder.labels) > 0,
        "NumberEncoder.n_outputs is wrong",
    )


def _check_one_hot(encoder: OneHotEncoder) -> None:
    _need(type(encoder.has_rare) is bool, "OneHotEncoder.has_rare is not a truth value")
    _check_places(encoder, encoder.n_outputs)
    _need(encoder.n_outputs == len(encoder.labels) > 0, "OneHotEncoder.n_outputs is wrong")


def _check_target_mean(encoder: TargetMeanEncoder) -> None:
    _need(type(encoder.n_outputs) is int and encoder.n_outputs > 0, "TargetMeanEncoder.n_outputs is wrong")
    _check_places(encoder, len(encoder.places))
    shape = (len(encoder.places) + 2, encoder.n_outputs)
    _check_floats(encoder.table, shape, "TargetMeanEncoder.table")


CHECKS: dict[Any, Any] = {
    NumberEncoder: _check_number_encoder,
    OneHotEncoder: _check_one_hot,
    TargetMeanEncoder: _check_target_mean,
}


def _check_places(encoder: Any, n: int) -> None:
    """Check that the places of categories are the integers below n. Several categories may have the same place."""
    name, places = f"{type(encoder).__name__}.places", encoder.places
    _need(type(places) is dict and all(type(key) is str for key in places), f"{name} are not those of texts")
    _need(all(type(place) is int for place in places.values()), f"{name} are not integers")
    good = type(n) is int and n <= len(places) and set(places.values()) == set(range(n))
    _need(good, f"{name} are not the integers below {n!r:.20}")


def _check_floats(values: Any, shape: tuple[int, ...], name: str) -> None:
    good = type(values) is np.ndarray and values.dtype == np.float64 and values.shape == shape
    _need(good and bool(np.isfinite(values).all()), f"{name} is not {' times '.join(map(str, shape))} numbers")


def _is_equal(found: Any, expected: Any) -> bool:
    return (
        type(found) is type(expected) is np.ndarray
        and found.dtype == expected.dtype
        and np.array_equal(found, expected)
    )


def _predict(estimator: Any, encoder: TableEncoder) -> None:
    """Predict a row of usual values and a row of missing values; raises an error of any kind if that fails."""
    import pandas as pd

    columns = {}
    for feature in encoder._features:
        value: Any = 0.0
        if feature.kind == "categories":
            value = "a category"
        elif feature.kind == "dates":
            value = pd.Timestamp("2024-01-01", tz=None if feature.zone is None else "UTC")
        columns[encoder.feature_names_in_[feature.source]] = pd.Series([value, None])
    X = pd.DataFrame(columns)
    predicted = estimator.predict(X)
    _need(predicted.shape == (2,), "it does not predict one value per row")
    if isinstance(estimator, TabularClassifier):
        shape = estimator.predict_proba(X).shape
        n_classes = len(estimator.classes_)
        _need(shape == (2, n_classes), f"it predicts probabilities of shape {shape} for {n_classes} classes")
