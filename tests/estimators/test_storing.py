"""Stored models: the version that stored them, and loading by skops, without pickle."""

import copy
import pickle
import re
import warnings
from typing import Any

import joblib
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fastbp
from fastbp import BackpropClassifier, BackpropRegressor, version
from support import parity
from support.documents import TRUSTED
from support.fits import SOLVERS, assert_same_bits, both, output, problem, small

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

OPTIONS: dict[str, dict[str, Any]] = {
    **SOLVERS,
    "early stopping": {"early_stopping": True, "validation_fraction": 0.3},
    "names": {"activation": ["tanh"], "loss": "mean_squared_error", "random_state": np.random.RandomState(0)},
    "single precision": {"dtype": "float32"},
}


def stored_by(model: Any, number: str, monkeypatch: pytest.MonkeyPatch) -> bytes:
    with monkeypatch.context() as patch:
        patch.setattr(version, "__version__", number)
        return pickle.dumps(model)


class TestVersion:
    @pytest.mark.parametrize("number", ["0.9.1", "0.10.0", "1.0.0rc1", "99.0"])
    @both
    def test_a_newer_version_is_warned_of_by_name_and_number(self, estimator, number, monkeypatch):
        X, y = problem(estimator)
        model = small(estimator).fit(X, y)
        monkeypatch.setattr(version, "__version__", "0.9.0")
        stored = stored_by(model, number, monkeypatch)
        expected = rf"{estimator.__name__} was stored by fastbp {re.escape(number)} and is loaded by fastbp 0\.9\.0"
        with pytest.warns(version.NewerVersionWarning, match=expected) as caught:
            loaded = pickle.loads(stored)
        assert caught[0].filename == __file__
        assert_same_bits(loaded, model)

    @pytest.mark.parametrize("number", ["0.0.9", "0.1.0rc1", "0.1.0"])
    def test_the_same_version_and_older_ones_are_not_warned_of(self, number, monkeypatch):
        monkeypatch.setattr(version, "__version__", "0.1.0")
        stored = stored_by(small(BackpropClassifier), number, monkeypatch)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            pickle.loads(stored)

    @both
    def test_models_without_the_parameters_of_later_versions_go_on(self, estimator):
        X, y = problem(estimator)
        model = small(estimator, solver="adam").fit(X, y)
        state, later = vars(model).copy(), [name for name, _ in parity.NEW]
        for name in [*later, "label_smoothing", "quantile", "huber_delta"]:
            state.pop(name, None)
        old = estimator.__new__(estimator)
        old.__setstate__(state)
        assert clone(old).get_params() == model.get_params()
        assert_array_equal(old.predict(X), model.predict(X))
        assert_same_bits(old.partial_fit(X, y), model.partial_fit(X, y))

    def test_models_that_were_stored_without_a_version_load(self):
        model = small(BackpropRegressor, alpha=0.25)
        loaded = type(model).__new__(type(model))
        loaded.__setstate__(vars(model).copy())
        assert loaded.get_params() == model.get_params()

    @both
    def test_the_version_is_in_stored_models_and_never_in_a_live_one(self, estimator, tmp_path):
        X, y = problem(estimator)
        model = small(estimator).fit(X, y)
        assert model.__getstate__()[version.STAMP] == fastbp.__version__
        joblib.dump(model, tmp_path / "model")
        copies = (pickle.loads(pickle.dumps(model)), joblib.load(tmp_path / "model"), copy.deepcopy(model), model)
        for each in (*copies, clone(model)):
            assert version.STAMP not in vars(each)
        for each in copies:
            assert vars(each).keys() == vars(model).keys()


class TestSkops:
    io = staticmethod(lambda: pytest.importorskip("skops.io"))

    def reloaded(self, model: Any) -> Any:
        io = self.io()
        stored = io.dumps(model)
        assert set(io.get_untrusted_types(data=stored)) <= set(TRUSTED)
        return io.loads(stored, trusted=TRUSTED)

    @pytest.mark.parametrize("options", OPTIONS)
    @both
    def test_a_fitted_model_is_the_same_and_goes_on_as_the_original(self, estimator, options):
        X, y = problem(estimator)
        model = small(estimator, warm_start=True, **OPTIONS[options]).fit(X, y)
        loaded = self.reloaded(model)
        assert vars(loaded).keys() == vars(model).keys()
        assert_same_bits(loaded, model)
        assert_array_equal(output(loaded, X), output(model, X))
        for name, value in vars(model).items():
            assert type(getattr(loaded, name)) is type(value), name
        again = "partial_fit" if model.solver in ("sgd", "adam") and not model.early_stopping else "fit"
        assert_same_bits(getattr(loaded, again)(X, y), getattr(model, again)(X, y))
        assert loaded.loss_curve_ == model.loss_curve_

    @both
    def test_an_unfitted_model_keeps_its_parameters(self, estimator):
        model = small(estimator, alpha=0.25, activation=["tanh"], n_iter_no_change=np.inf)
        assert self.reloaded(model).get_params() == model.get_params()

    @pytest.mark.parametrize("fitted", [False, True])
    @both
    def test_in_a_pipeline(self, estimator, fitted):
        X, y = problem(estimator)
        pipeline = make_pipeline(StandardScaler(), small(estimator))
        if fitted:
            loaded = self.reloaded(pipeline.fit(X, y))
            assert_array_equal(output(loaded, X), output(pipeline, X))
        else:
            loaded = self.reloaded(pipeline).fit(X, y)
            assert_same_bits(loaded[-1], pipeline.fit(X, y)[-1])

    def test_labels_weights_of_classes_and_names_of_features(self):
        pandas = pytest.importorskip("pandas")
        X, y = problem(BackpropClassifier)
        frame, names = pandas.DataFrame(X).rename(columns="x{}".format), np.array(["setosa", "b", "c"], object)[y]
        model = small(BackpropClassifier, class_weight={"setosa": 2.0, "b": 1.0, "c": 0.5}).fit(frame, names)
        loaded = self.reloaded(model)
        assert_array_equal(loaded.predict(frame), model.predict(frame))
        assert_array_equal(loaded.feature_names_in_, model.feature_names_in_)
        assert_same_bits(loaded.fit(frame, names), model)

    def test_a_newer_version_is_warned_of(self, monkeypatch):
        io = self.io()
        with monkeypatch.context() as patch:
            patch.setattr(version, "__version__", "99.0")
            stored = io.dumps(small(BackpropClassifier))
        with pytest.warns(version.NewerVersionWarning, match=r"was stored by fastbp 99\.0"):
            io.loads(stored, trusted=TRUSTED)
