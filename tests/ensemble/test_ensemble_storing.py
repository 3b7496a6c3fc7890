"""Copies of ensembles: stored and loaded, cloned, and used beside a fit in another thread."""

import copy
import pickle
import threading
import warnings

import joblib
import numpy as np
import pytest
import sklearn
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import FitFailedWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from fastbp import version
from support.documents import TRUSTED
from support.ensembles import EARLY, KINDS, assert_same_model, both, ensemble
from support.fits import output, problem

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


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


OPTIONS = {
    "average": {},
    "greedy": {"selection": "greedy", "member": EARLY},
    "failures": {"param_distributions": {"learning_rate_init": [0.01, 1e300]}},
}


@pytest.mark.parametrize("copied", [by_pickle, by_joblib, by_copy, by_skops])
@pytest.mark.parametrize("options", OPTIONS)
@both
def test_a_copy_is_the_same_and_is_fitted_anew_as_the_original(kind, options, copied, tmp_path):
    X, y = problem(KINDS[kind])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FitFailedWarning)
        model = ensemble(kind, **OPTIONS[options]).fit(X, y)
        loaded = copied(model, tmp_path)
        assert vars(loaded).keys() == vars(model).keys()
        for name in vars(model).keys() - {"estimator", "members_"}:
            np.testing.assert_equal(getattr(loaded, name), getattr(model, name), err_msg=name)
            assert type(getattr(loaded, name)) in (type(getattr(model, name)), np.memmap), name
        assert type(loaded.estimator) is type(model.estimator)
        for member, expected in zip(loaded.members_, model.members_, strict=True):
            assert_same_model(member, expected)
        assert_array_equal(output(loaded, X), output(model, X))
        assert_array_equal(output(loaded.fit(X, y), X), output(model.fit(X, y), X))


@pytest.mark.parametrize("copied", [by_pickle, by_joblib, by_copy, by_skops, lambda model, folder: clone(model)])
@both
def test_a_copy_of_an_unfitted_ensemble_has_its_parameters(kind, copied, tmp_path):
    model = ensemble(kind, {"alpha": 0.25}, param_distributions={"alpha": [0.5]}, n_members=3)
    loaded = copied(model, tmp_path)
    for name, value in model.get_params(deep=False).items():
        assert name == "estimator" or getattr(loaded, name) == value
    assert loaded.estimator.get_params() == model.estimator.get_params()
    with pytest.raises(NotFittedError):
        loaded.predict([[0.0]])


@both
def test_a_clone_of_a_fitted_ensemble_is_unfitted(kind):
    X, y = problem(KINDS[kind])
    model = ensemble(kind).fit(X, y)
    assert not hasattr(clone(model), "members_")
    assert_array_equal(output(clone(model).fit(X, y), X), output(model, X))


@both
def test_an_ensemble_of_a_newer_version_is_warned_of(kind, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(version, "__version__", "99.0")
        stored = pickle.dumps(ensemble(kind))
    with pytest.warns(version.NewerVersionWarning) as caught:
        pickle.loads(stored)
    assert any(f"{kind.__name__} was stored by fastbp 99.0" in str(warning.message) for warning in caught)


@both
def test_in_pipelines_and_searches(kind):
    X, y = problem(KINDS[kind])
    pipeline = make_pipeline(StandardScaler(), ensemble(kind))
    name = kind.__name__.lower()
    search = GridSearchCV(pipeline, {f"{name}__estimator__alpha": [1e-4, 1.0], f"{name}__n_members": [2, 3]}, cv=2)
    search.fit(X, y)
    assert len(search.best_estimator_[-1].members_) == search.best_params_[f"{name}__n_members"]
    serial = cross_val_score(pipeline, X, y, cv=3)
    with joblib.parallel_backend("threading", n_jobs=2):
        assert_array_equal(cross_val_score(pipeline, X, y, cv=3), serial)


@both
def test_a_pipeline_passes_weights_and_the_transformed_validation_set(kind):
    X, y = problem(KINDS[kind])
    metadata = {"sample_weight": np.arange(1.0, 29), "X_val": X[:12], "y_val": y[:12], "sample_weight_val": np.ones(12)}
    with sklearn.config_context(enable_metadata_routing=True):
        model = ensemble(kind, EARLY, selection="greedy").set_fit_request(**dict.fromkeys(metadata, True))
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        pipeline = Pipeline([("scale", scaler), ("net", model)], transform_input=["X_val"]).fit(
            X[12:], y[12:], **metadata
        )
    scale = StandardScaler().fit(X[12:]).transform
    alone = ensemble(kind, EARLY, selection="greedy")
    alone.fit(scale(X[12:]), y[12:], **{**metadata, "X_val": scale(X[:12])})
    assert_array_equal(pipeline["net"].weights_, alone.weights_)
    assert_array_equal(output(pipeline, X), output(alone, scale(X)))


@both
def test_another_thread_predicts_the_old_or_the_new_ensemble_during_a_fit(kind):
    X, y = problem(KINDS[kind])
    model = ensemble(kind, n_members=3).fit(X, y)
    old, stop, found = output(model, X), threading.Event(), []

    def predict():
        while not stop.is_set():
            found.append(output(model, X))

    thread = threading.Thread(target=predict)
    thread.start()
    try:
        for _ in range(5):
            model.set_params(n_members=2).fit(X, y)
    finally:
        stop.set()
        thread.join()
    new = output(model, X)
    assert (old != new).any()
    assert all(np.array_equal(each, old) or np.array_equal(each, new) for each in found)
