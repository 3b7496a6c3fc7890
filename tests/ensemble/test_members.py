"""Each member of an ensemble is the model of a fit alone, to the bit."""

import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import scipy.stats
from numpy.testing import assert_array_equal
from sklearn.ensemble import BaggingClassifier, BaggingRegressor
from sklearn.exceptions import ConvergenceWarning

from fastbp import BackpropClassifier, BackpropEnsembleClassifier, BackpropEnsembleRegressor
from support.ensembles import EARLY, KINDS, alone, assert_same_model, both, ensemble
from support.fits import SOLVERS, output, problem

MEMBERS = {
    **SOLVERS,
    "early stopping": EARLY,
    "early stopping of sgd by the loss": {**EARLY, "solver": "sgd", "monitor": "loss"},
    "dropout": {"dropout": 0.2, "input_dropout": 0.1, "learning_rate": "cosine", "weight_decay": 0.1},
    "early stopping with dropout": {**EARLY, "dropout": 0.2},
    "single precision": {"dtype": "float32"},
    "without early stopping": {"early_stopping": False, "monitor": "loss"},
}


@pytest.fixture(autouse=True)
def _ignored():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def assert_members_are_those_of_fits_alone(model, X, y, weights=None, **given) -> None:
    assert len(model.members_) == model.n_members
    for member in model.members_:
        assert_same_model(member, alone(member, X, y, model.validation_rows_, weights, **given))


class TestBits:
    @pytest.mark.parametrize("selection", ["average", "greedy"])
    @pytest.mark.parametrize("member", MEMBERS)
    @both
    def test_of_a_fit_alone_whatever_the_solver(self, kind, member, selection):
        X, y = problem(KINDS[kind])
        model = ensemble(kind, MEMBERS[member], selection=selection, n_jobs=2).fit(X, y)
        assert (model.validation_rows_ is not None) == (
            selection == "greedy" or MEMBERS[member].get("early_stopping", False)
        )
        assert_members_are_those_of_fits_alone(model, X, y)

    @pytest.mark.parametrize("selection", ["average", "greedy"])
    @both
    def test_of_a_fit_alone_if_every_member_has_other_parameters(self, kind, selection):
        X, y = problem(KINDS[kind])
        distributions = {
            "solver": ["adam", "sgd", "lbfgs", "gd"],
            "early_stopping": [False, True],
            "dtype": ["float32", "float64"],
            "alpha": scipy.stats.loguniform(1e-4, 1),
        }
        if kind is BackpropEnsembleClassifier:
            distributions["class_weight"] = [None, "balanced"]
        model = ensemble(kind, EARLY, param_distributions=distributions, selection=selection, n_members=8).fit(X, y)
        for name in distributions:
            assert len({getattr(member, name) for member in model.members_}) > 1, name
        assert_members_are_those_of_fits_alone(model, X, y)

    @pytest.mark.parametrize("form", [scipy.sparse.csr_matrix, np.asfortranarray, np.float32])
    @both
    def test_of_a_fit_alone_on_other_forms_of_X_with_weights(self, kind, form):
        X, y = problem(KINDS[kind], whole=True)
        X, weights = form(X), np.random.default_rng(0).uniform(size=len(y))
        model = ensemble(kind, EARLY).fit(X, y, weights)
        assert_members_are_those_of_fits_alone(model, X, y, weights)

    @both
    def test_of_a_fit_alone_with_a_validation_set_of_the_user(self, kind):
        X, y = problem(KINDS[kind])
        given = {"X_val": X[:12], "y_val": y[:12], "sample_weight_val": np.arange(1.0, 13)}
        model = ensemble(kind, EARLY).fit(X[12:], y[12:], **given)
        assert model.validation_rows_ is None
        assert_members_are_those_of_fits_alone(model, X[12:], y[12:], **given)

    @both
    def test_do_not_depend_on_the_number_of_threads(self, kind):
        X, y = problem(KINDS[kind])
        models = [ensemble(kind, EARLY, selection="greedy", n_jobs=n_jobs).fit(X, y) for n_jobs in (1, 2, None)]
        for model in models[1:]:
            assert_array_equal(model.weights_, models[0].weights_)
            assert_array_equal(output(model, X), output(models[0], X))
            for member, other in zip(model.members_, models[0].members_, strict=True):
                assert_same_model(member, other)

    def test_of_balanced_classes_count_the_rows_that_are_trained_on(self):
        X, y = problem(BackpropClassifier)
        model = ensemble(BackpropEnsembleClassifier, {"class_weight": "balanced", **EARLY}).fit(X, y)
        assert_members_are_those_of_fits_alone(model, X, y)

    @both
    def test_of_a_monitor_that_is_a_scorer(self, kind):
        X, y = problem(KINDS[kind])
        monitor = "neg_log_loss" if kind is BackpropEnsembleClassifier else "r2"
        model = ensemble(kind, {**EARLY, "monitor": monitor}).fit(X, y, np.arange(1.0, 41))
        assert_members_are_those_of_fits_alone(model, X, y, np.arange(1.0, 41))

    @pytest.mark.parametrize("dtype", ["f4", "i2"])
    @both
    def test_of_a_file(self, kind, dtype, tmp_path):
        X, y = problem(KINDS[kind], whole=True)
        np.save(tmp_path / "X.npy", X.astype(dtype))
        file = np.load(tmp_path / "X.npy", mmap_mode="r")
        model, expected = (ensemble(kind, EARLY, selection="greedy").fit(form, y) for form in (file, np.array(file)))
        for member, other in zip(model.members_, expected.members_, strict=True):
            assert_same_model(member, other)
        assert_array_equal(model.weights_, expected.weights_)
        assert_array_equal(output(model, file), output(expected, np.array(file)))


class TestDraws:
    @pytest.mark.parametrize(
        ("kind", "bagging"),
        [(BackpropEnsembleClassifier, BaggingClassifier), (BackpropEnsembleRegressor, BaggingRegressor)],
    )
    def test_of_random_states_are_those_of_bagging(self, kind, bagging):
        X, y = problem(KINDS[kind])
        model = ensemble(kind).fit(X, y)
        bag = bagging(model.estimator, 4, random_state=0).fit(X, y)
        assert [member.random_state for member in model.members_] == [each.random_state for each in bag.estimators_]

    @both
    def test_of_a_smaller_ensemble_are_the_first_ones_of_a_larger(self, kind):
        X, y = problem(KINDS[kind])
        models = [
            ensemble(kind, EARLY, param_distributions={"alpha": scipy.stats.uniform(0, 1)}, n_members=n).fit(X, y)
            for n in (2, 4)
        ]
        assert_array_equal(models[0].validation_rows_, models[1].validation_rows_)
        for member, other in zip(models[0].members_, models[1].members_, strict=False):
            assert_same_model(member, other)
        assert len({member.alpha for member in models[1].members_}) == 4

    @both
    def test_follow_the_random_state(self, kind):
        X, y = problem(KINDS[kind])
        generator = np.random.RandomState(0)
        one, again, other = (ensemble(kind, random_state=state).fit(X, y) for state in (0, generator, generator))
        assert_array_equal(output(one, X), output(again, X))
        assert (output(one, X) != output(other, X)).any()

    def test_keep_the_proportions_of_the_classes_in_the_validation_set(self):
        rng = np.random.default_rng(0)
        y = rng.permutation(np.repeat(["a", "b", "c"], [100, 50, 10]))
        model = ensemble(BackpropEnsembleClassifier, EARLY, validation_fraction=0.1).fit(rng.normal(size=(160, 4)), y)
        found = np.unique(y[model.validation_rows_], return_counts=True)
        assert_array_equal(found[1], [10, 5, 1])

    @both
    def test_leave_the_estimator_as_it_was(self, kind):
        X, y = problem(KINDS[kind])
        model = ensemble(kind)
        before = dict(vars(model.estimator))
        model.fit(X, y)
        assert vars(model.estimator) == before


@both
def test_a_frame_gives_the_ensemble_its_names_and_the_members_an_array(kind):
    X, y = problem(KINDS[kind])
    frame = pd.DataFrame(X).rename(columns="x{}".format)
    model, expected = ensemble(kind).fit(frame, y), ensemble(kind).fit(X, y)
    assert_array_equal(model.feature_names_in_, frame.columns)
    assert model.n_features_in_ == X.shape[1]
    assert not hasattr(model.members_[0], "feature_names_in_")
    assert_array_equal(output(model, frame), output(expected, X))
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame.rename(columns={"x0": "y"}))
    model.fit(X, y)
    assert not hasattr(model, "feature_names_in_")


@both
def test_the_members_share_the_data_that_they_lay_out(kind, monkeypatch):
    from fastbp.estimators import intake

    laid_out, as_examples = [], intake.as_examples

    def counted(*args, **kwargs):
        laid_out.append(as_examples(*args, **kwargs))
        return laid_out[-1]

    monkeypatch.setattr(intake, "as_examples", counted)
    X, y = problem(KINDS[kind])
    ensemble(kind, EARLY, n_members=6, n_jobs=2).fit(X, y)
    assert len(laid_out) == 1
    assert np.shares_memory(laid_out[0].X64, X)


@both
def test_members_go_on_with_their_own_partial_fit(kind):
    X, y = problem(KINDS[kind])
    model = ensemble(kind).fit(X, y)
    assert not hasattr(model, "partial_fit")
    before = output(model, X)
    for member in model.members_:
        member.partial_fit(X, y)
    assert (output(model, X) != before).any()
    assert_array_equal(output(model, X), sum(output(member, X) / 4 for member in model.members_))
