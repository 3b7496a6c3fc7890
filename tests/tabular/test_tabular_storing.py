"""Stored estimators for tables: pickle, joblib, copies and skops, and the version that stored them."""

import copy
import pickle

import joblib
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from fastbp import (
    BackpropClassifier,
    BackpropEnsembleClassifier,
    BackpropEnsembleRegressor,
    BackpropRegressor,
    TableEncoder,
    TabularClassifier,
    TabularRegressor,
    version,
)
from support.documents import TRUSTED
from support.tables import classes_of, numbers_of, table

X = table()
OTHER = table(60, seed=1)
TARGETS = {TabularClassifier: classes_of(X), TabularRegressor: numbers_of(X)}
both = pytest.mark.parametrize("kind", TARGETS)


def fitted(kind, **parameters):
    return kind(2, random_state=0, **parameters).fit(X, TARGETS[kind])


def output(model, X):
    return model.predict_proba(X) if hasattr(model, "predict_proba") else model.predict(X)


def by_pickle(model, folder):
    return pickle.loads(pickle.dumps(model))


def by_joblib(model, folder):
    joblib.dump(model, folder / "model")
    return joblib.load(folder / "model", mmap_mode="r")


def by_copy(model, folder):
    return copy.deepcopy(model)


def by_skops(model, folder):
    io = pytest.importorskip("skops.io")
    stored = io.dumps(model)
    assert set(io.get_untrusted_types(data=stored)) <= set(TRUSTED)
    return io.loads(stored, trusted=TRUSTED)


COPIES = [by_pickle, by_joblib, by_copy, by_skops]


@pytest.mark.parametrize("copied", COPIES)
@pytest.mark.parametrize("has_predicted", [False, True])
@both
def test_a_copy_predicts_the_same_bits_and_is_fitted_anew_as_the_original(kind, has_predicted, copied, tmp_path):
    model = fitted(kind)
    if has_predicted:
        output(model, X)
    loaded = copied(model, tmp_path)
    assert vars(loaded).keys() == vars(model).keys()
    assert loaded.candidates_ == model.candidates_
    assert loaded.column_kinds_ == model.column_kinds_
    for given in (X, OTHER):
        assert_array_equal(output(loaded, given), output(model, given))
    assert_array_equal(output(loaded.fit(X, TARGETS[kind]), OTHER), output(model, OTHER))


@pytest.mark.parametrize("copied", [*COPIES, lambda model, folder: clone(model)])
@both
def test_a_copy_of_an_unfitted_estimator_has_its_parameters(kind, copied, tmp_path):
    model = kind(3, categorical_features=["rooms"], max_seconds=9.0, random_state=np.random.RandomState(0))
    loaded, expected = copied(model, tmp_path).get_params(), model.get_params()
    random_states = loaded.pop("random_state"), expected.pop("random_state")
    assert loaded == expected
    np.testing.assert_equal(*(each.get_state() for each in random_states))
    with pytest.raises(NotFittedError):
        copied(model, tmp_path).predict(X)


@pytest.mark.parametrize("copied", COPIES)
@both
def test_a_copy_without_networks_predicts_the_same_constant(kind, copied, tmp_path):
    model = kind(2, random_state=0).fit(X, np.ones(len(X), int))
    assert model.networks_ == []
    assert_array_equal(output(copied(model, tmp_path), X), output(model, X))


def test_weights_of_classes_quantiles_and_names_of_columns_are_stored(tmp_path):
    clf = fitted(TabularClassifier, class_weight={"yes": 2.0, "no": 1.0}, categorical_features=["rooms"])
    reg = fitted(TabularRegressor, loss="quantile", quantile=[0.1, 0.9])
    for model in (clf, reg):
        loaded = by_skops(model, tmp_path)
        assert_array_equal(output(loaded, OTHER[OTHER.columns[::-1]]), output(model, OTHER))


@both
def test_a_model_of_a_newer_version_is_warned_of_by_its_name(kind, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(version, "__version__", "99.0")
        stored = pickle.dumps(kind())
    with pytest.warns(version.NewerVersionWarning, match=rf"{kind.__name__} was stored by fastbp 99\.0"):
        loaded = pickle.loads(stored)
    assert version.STAMP not in vars(loaded)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_readme_trusts_exactly_the_types_that_the_estimators_need():
    io = pytest.importorskip("skops.io")
    matrix, y = X[["rooms", "zeros"]].to_numpy(), TARGETS[TabularClassifier]
    clf, reg = BackpropClassifier((4,), max_iter=1), BackpropRegressor(hidden_layer_sizes=(4,), max_iter=1)
    models = [
        clf.fit(matrix, y),
        reg.fit(matrix, matrix[:, 0]),
        BackpropEnsembleClassifier(clf, 2).fit(matrix, y),
        BackpropEnsembleRegressor(reg, 2).fit(matrix, matrix[:, 0]),
        TableEncoder().fit(X, y),
        *map(fitted, TARGETS),
    ]
    needed = {name for model in models for name in io.get_untrusted_types(data=io.dumps(model))}
    assert needed == set(TRUSTED)
