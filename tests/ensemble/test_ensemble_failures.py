"""A member that fails is left out. An interrupted fit keeps the members that finished an epoch. A fit that fails leaves
the ensemble as it was.
"""

import copy
import itertools
import os
import re
import signal
import time
import warnings

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning, NotFittedError

from fastbp import BackpropClassifier, BackpropEnsembleClassifier, BackpropEnsembleRegressor, BackpropRegressor
from fastbp.ensemble import base, regressor
from fastbp.kernels import step
from fastbp.training import footprint
from fastbp.training.observer import watch
from support.ensembles import EARLY, KINDS, assert_same_model, both, ensemble
from support.fits import output, problem, small

interrupted = pytest.warns(UserWarning, match=r"^Training interrupted by user\.$")
DIVERGES = {"learning_rate_init": [0.01, 1e300]}


@pytest.fixture(autouse=True)
def _ignored():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


class TestMembersThatFail:
    @pytest.mark.parametrize("selection", ["average", "greedy"])
    @both
    def test_are_left_out_with_a_warning_and_the_others_are_as_ever(self, kind, selection):
        X, y = problem(KINDS[kind])
        model = ensemble(kind, param_distributions=DIVERGES, n_members=8, selection=selection)
        with pytest.warns(FitFailedWarning, match=r"of 8 members failed and are left out: \[.*Training diverged"):
            model.fit(X, y)
        assert 0 < len(model.failed_members_) < 8
        assert len(model.members_) == len(model.weights_) == 8 - len(model.failed_members_)
        assert all("Training diverged in epoch 1" in message for message in model.failed_members_.values())
        assert {member.learning_rate_init for member in model.members_} == {0.01}
        twin = ensemble(kind, {"learning_rate_init": 0.01}, n_members=8, selection=selection).fit(X, y)
        kept = [member for i, member in enumerate(twin.members_) if i not in model.failed_members_]
        for member, expected in zip(model.members_, kept, strict=True):
            assert_same_model(member, expected)

    @both
    def test_on_the_validation_set_are_left_out_too(self, kind):
        X, y = problem(KINDS[kind])
        member: dict = {"solver": "gd", "max_iter": 1}
        if kind is BackpropEnsembleClassifier:
            member |= {"loss": "squared_error", "out_activation": "identity"}
        # an output of the second half of the members overflows for the last row
        distributions = {"activation": ["tanh", "identity"]}
        model = ensemble(kind, member, param_distributions=distributions, selection="greedy", max_picks=3)
        model.set_params(scoring="accuracy" if kind is BackpropEnsembleClassifier else "loss")
        far = X[:12].copy()
        far[-1] = np.finfo(float).max * np.array([1, -1, 1, -1])[: X.shape[1]]
        with pytest.warns(FitFailedWarning, match="outputs are not finite"):
            model.fit(X[12:], y[12:], X_val=far, y_val=y[:12])
        assert {each.activation for each in model.members_} == {"tanh"}
        assert len(model.failed_members_) == 2

    @both
    def test_all_of_them_are_an_error_with_the_first_message(self, kind):
        X, y = problem(KINDS[kind])
        model = ensemble(kind, {"learning_rate_init": 1e300})
        with pytest.raises(ValueError, match=r"All 4 members failed\. Member 0: .*Training diverged"):
            model.fit(X, y)
        with pytest.raises(NotFittedError):
            model.predict(X)

    @both
    def test_do_not_stop_the_others_by_another_error(self, kind, monkeypatch):
        X, y = problem(KINDS[kind])
        train, calls = step.train, []

        def short_of_memory(*args):
            calls.append(args)
            if len(calls) == 2:
                raise MemoryError("no more")
            return train(*args)

        monkeypatch.setattr(step, "train", short_of_memory)
        model = ensemble(kind, n_jobs=1)
        with pytest.warns(FitFailedWarning, match=r"1 of 4 members failed and are left out: \[0\]\. Member 0: no more"):
            model.fit(X, y)
        assert model.failed_members_ == {0: "no more"}
        assert len(model.members_) == 3


BAD = {
    "NaN in X": lambda X, y: ({}, X * np.nan, y, {}, "NaN"),
    "a y that is too short": lambda X, y: ({}, X, y[1:], {}, "inconsistent numbers of samples"),
    "weights of zero": lambda X, y: ({}, X, y, {"sample_weight": np.zeros(40)}, "(?i)sample.weight"),
    "a negative weight": lambda X, y: ({}, X, y, {"sample_weight": np.linspace(-1, 1, 40)}, "Negative values"),
    "a parameter of the members": lambda X, y: ({"estimator__alpha": -1.0}, X, y, {}, "'alpha' parameter"),
    "a drawn parameter": lambda X, y: ({"param_distributions": {"alpha": [-1.0]}}, X, y, {}, "'alpha' parameter"),
    "a drawn parameter that a network refuses": lambda X, y: (
        {"param_distributions": {"dropout": [[0.1, 0.2]]}},
        X,
        y,
        {},
        "one for each of the 1 hidden layers",
    ),
    "an unknown parameter": lambda X, y: (
        {"param_distributions": {"depth": [1]}},
        X,
        y,
        {},
        "Invalid parameter 'depth'",
    ),
    "distributions of another form": lambda X, y: (
        {"param_distributions": [1]},
        X,
        y,
        {},
        r"param_distributions must be a dict or a list of dicts, got \[1\]",
    ),
    "no members": lambda X, y: ({"n_members": 0}, X, y, {}, "'n_members' parameter"),
    "an unknown selection": lambda X, y: ({"selection": "best"}, X, y, {}, "'selection' parameter"),
    "an unknown scorer": lambda X, y: ({"scoring": "luck"}, X, y, {}, "'scoring' parameter"),
    "a validation set without use": lambda X, y: (
        {},
        X,
        y,
        {"X_val": X[:9], "y_val": y[:9]},
        "used by members with early_stopping=True and by selection='greedy' only",
    ),
    "half a validation set": lambda X, y: ({}, X, y, {"X_val": X[:9]}, "y_val was not provided"),
    "a validation set of other features": lambda X, y: (
        {"selection": "greedy"},
        X,
        y,
        {"X_val": X[:9, :2], "y_val": y[:9]},
        "In the validation set X_val, y_val, sample_weight_val: X has 2 features",
    ),
    "a validation set of one row": lambda X, y: (
        {"selection": "greedy"},
        X,
        y,
        {"X_val": X[:1], "y_val": y[:1]},
        "X_val has 1 rows, and needs at least 2",
    ),
    "a validation set without weight": lambda X, y: (
        {"selection": "greedy"},
        X,
        y,
        {"X_val": X[:2], "y_val": y[:2], "sample_weight_val": [0, 0]},
        "In the validation set .*(?i:sample.weight)",
    ),
    "a validation set that is too small": lambda X, y: (
        {"selection": "greedy", "validation_fraction": 0.01},
        X,
        y,
        {},
        "validation_fraction=0.01 of 40 examples",
    ),
    "training rows without weight": lambda X, y: (
        {"selection": "greedy"},
        X,
        y,
        {"sample_weight": np.arange(40) == 5},
        "All sample_weight of the (training|validation) examples in this split are zero",
    ),
}


class TestErrors:
    @pytest.mark.parametrize("name", BAD)
    @both
    def test_come_before_any_training_and_leave_the_ensemble_as_it_was(self, kind, name, monkeypatch):
        X, y = problem(KINDS[kind])
        model = ensemble(kind).fit(X, y)
        params, X, y, given, message = BAD[name](X, y)
        model.set_params(**params)
        before, kept = dict(vars(model)), copy.deepcopy(vars(model.members_[0]))
        monkeypatch.setattr(step, "train", None)
        with pytest.raises(ValueError, match=message):
            model.fit(X, y, **given)
        assert vars(model).keys() == before.keys()
        assert all(vars(model)[key] is value for key, value in before.items())
        np.testing.assert_equal(vars(model.members_[0])["coefs_"], kept["coefs_"])

    @pytest.mark.parametrize(
        ("member", "params", "message"),
        [
            (
                {"loss": "squared_error", "out_activation": "tanh"},
                {"selection": "greedy"},
                "scoring='loss' needs probabilities, and out_activation='tanh' gives none",
            ),
            (
                {"loss": "squared_error"},
                {"param_distributions": {"out_activation": ["tanh", "logistic"]}},
                "must give probabilities for all members or for none, got out_activation='logistic' and 'tanh'",
            ),
            ({}, {"selection": "greedy", "scoring": "roc_auc"}, "scoring='roc_auc' must go .* multi_class must be in"),
            (
                {},
                {"selection": "greedy", "validation_fraction": 0.05},
                "validation_fraction=0.05 of 40 examples cannot",
            ),
        ],
    )
    def test_of_classifiers(self, member, params, message):
        X, y = problem(BackpropClassifier)
        with pytest.raises(ValueError, match=message):
            ensemble(BackpropEnsembleClassifier, member, n_members=8, **params).fit(X, y)

    def test_of_classes_that_only_the_validation_set_has(self):
        X, y = problem(BackpropClassifier)
        model = ensemble(BackpropEnsembleClassifier, selection="greedy")
        with pytest.raises(ValueError, match=r"y_val has classes \[2\] that the fit did not have"):
            model.fit(X[y < 2], y[y < 2], X_val=X, y_val=y)

    @pytest.mark.parametrize(
        ("member", "params", "message"),
        [
            (
                {"loss": "quantile"},
                {"param_distributions": {"quantile": [[0.1, 0.9], [0.2, 0.8]]}},
                r"must give all members the same quantiles, got \[\[0",
            ),
            ({}, {"selection": "greedy", "scoring": "roc_auc"}, "scoring='roc_auc' must go with this ensemble"),
        ],
    )
    def test_of_regressors(self, member, params, message):
        X, y = problem(BackpropRegressor)
        with pytest.raises(ValueError, match=message):
            ensemble(BackpropEnsembleRegressor, member, n_members=8, **params).fit(X, y)

    def test_of_a_loss_of_the_users_own_say_that_a_scorer_is_needed(self, monkeypatch):
        X, y = problem(BackpropRegressor)
        monkeypatch.setattr(regressor, "REGRESSION", {})
        model = ensemble(BackpropEnsembleRegressor, selection="greedy")
        with pytest.raises(ValueError, match="scoring must be a scorer, such as 'r2', because scoring='loss' does not"):
            model.fit(X, y)

    @pytest.mark.parametrize(
        ("kind", "other"), [(kind, KINDS[other]) for kind in KINDS for other in KINDS if other != kind]
    )
    def test_of_an_estimator_of_another_kind(self, kind, other):
        with pytest.raises(ValueError, match=f"The 'estimator' parameter of {kind.__name__} must be an instance of"):
            kind(other()).fit([[0.0], [1.0]], [0, 1])

    @both
    def test_of_callbacks(self, kind):
        pytest.importorskip("sklearn.callback")
        from sklearn.callback import ProgressBar

        X, y = problem(KINDS[kind])
        model = ensemble(kind)
        model.estimator.set_callbacks(ProgressBar())
        with pytest.raises(ValueError, match="estimator must have no callbacks"):
            model.fit(X, y)

    @both
    def test_of_memory_name_the_number_of_members_and_what_there_is(self, kind, monkeypatch):
        X, y = problem(KINDS[kind])
        monkeypatch.setattr(footprint, "physical_memory", lambda: 1 << 20)
        monkeypatch.setattr(step, "train", None)
        model = ensemble(kind, {"hidden_layer_sizes": (500, 500)}, n_members=3, n_jobs=1)
        with pytest.raises(
            MemoryError, match=r"^n_members=3 networks, 1 of them in training .* need about \d+ MiB, .* has 1 MiB"
        ):
            model.fit(X, y)

    @pytest.mark.parametrize(
        "weights", [[0.5, 0.5], [0.5, 0.5, 0.5, -0.5], [1.0, 1, 1, 1], ["a"] * 4, [np.nan, 0, 0, 1]]
    )
    @both
    def test_of_edited_weights(self, kind, weights):
        X, y = problem(KINDS[kind])
        model = ensemble(kind).fit(X, y)
        model.weights_ = weights
        with pytest.raises(
            ValueError, match="weights_ must be a number >= 0 for each of the 4 members, with the sum 1"
        ):
            model.predict(X)

    def test_of_edited_classes(self):
        X, y = problem(BackpropClassifier)
        model = ensemble(BackpropEnsembleClassifier).fit(X, y)
        model.members_[1].classes_ = model.classes_[::-1]
        with pytest.raises(ValueError, match=r"^members_\[1\].classes_ must be the classes_ of the ensemble, array"):
            model.predict_proba(X)
        model.classes_ = None
        with pytest.raises(ValueError, match="classes_ must be a vector of labels, got None"):
            model.predict(X)


@both
def test_a_warning_that_is_turned_into_an_error_leaves_the_ensemble_as_it_was(kind):
    X, y = problem(KINDS[kind])
    model = ensemble(kind).fit(X, y)
    before = dict(vars(model))
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        with pytest.raises(ConvergenceWarning):
            model.fit(X[:, :2], y)
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is value for name, value in before.items())


@both
def test_a_warning_of_several_members_is_said_once_with_their_numbers(kind):
    X, y = problem(KINDS[kind])
    model = ensemble(kind, param_distributions={"max_iter": [3, 4]}, n_members=6)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, y)
    assert {warning.filename for warning in caught} == {__file__}
    for warning in caught:
        most, numbers = re.search(
            r"iterations \((\d)\) reached .* \(members ([\d, ]+)\)$", str(warning.message)
        ).groups()
        found = [i for i, member in enumerate(model.members_) if member.max_iter == int(most)]
        assert found == [int(number) for number in numbers.split(", ")]
    assert len(caught) == 2


# ---------------------------------------------------------------- interrupts


def interrupt_at_call(monkeypatch, number: int) -> None:
    """Send the process SIGINT, as Ctrl-C does, in this call of the training kernel. The first call is 1."""
    train, calls = step.train, itertools.count(1)

    def call(*args):
        this = next(calls)
        train(*args)
        if this == number:
            os.kill(os.getpid(), signal.SIGINT)  # this wakes the main thread, and raise_signal does not
            time.sleep(0.2)  # until the main thread has answered it

    monkeypatch.setattr(step, "train", call)


LONG = {"max_iter": 100_000, "tol": 0, "n_iter_no_change": 100_000}


@pytest.mark.usefixtures("press_ctrl_c")
@pytest.mark.posix
class TestInterrupt:
    @pytest.mark.parametrize("selection", ["average", "greedy"])
    @pytest.mark.parametrize("n_jobs", [1, 2])
    @both
    def test_keeps_the_members_that_finished_an_epoch(self, kind, n_jobs, selection, monkeypatch):
        X, y = problem(KINDS[kind])
        distributions = {"max_iter": [3, 100_000]}
        model = ensemble(kind, LONG, param_distributions=distributions, n_jobs=n_jobs, selection=selection)
        model.set_params(n_members=12)
        interrupt_at_call(monkeypatch, 200)
        with interrupted:
            model.fit(X, y)
        assert 1 <= len(model.members_) < 12
        assert len(model.weights_) == len(model.members_)
        assert all(member.n_iter_ >= 1 for member in model.members_)
        assert all(member.n_iter_ < 100_000 for member in model.members_)
        assert model.failed_members_ == {}
        assert np.isfinite(output(model, X)).all()

    @both
    def test_of_members_gives_what_shorter_fits_give(self, kind, monkeypatch):
        X, y = problem(KINDS[kind])
        model = ensemble(kind, LONG, n_jobs=2)
        interrupt_at_call(monkeypatch, 300)
        with interrupted:
            model.fit(X, y)
        assert 1 <= len(model.members_) <= 2  # the others have not begun
        monkeypatch.undo()
        for member in model.members_:
            params = {**LONG, "max_iter": member.n_iter_, "random_state": member.random_state}
            shorter = small(KINDS[kind], **params).fit(X, y)
            assert member.loss_curve_ == shorter.loss_curve_

    @both
    def test_before_any_epoch_raises_and_leaves_the_ensemble_as_it_was(self, kind, monkeypatch):
        X, y = problem(KINDS[kind])
        model = ensemble(kind, n_jobs=1).fit(X, y)
        before = dict(vars(model))
        interrupt_at_call(monkeypatch, 1)
        model.set_params(estimator__max_iter=100_000)
        monkeypatch.setattr("fastbp.network.costs.CALL_WORK", 1)  # an epoch has several calls
        with pytest.raises(KeyboardInterrupt):
            model.fit(X, y)
        assert vars(model).keys() == before.keys()
        assert all(vars(model)[name] is value for name, value in before.items())

    @both
    def test_of_the_selection_keeps_all_members_with_equal_weights(self, kind, monkeypatch):
        def interrupts(*args):
            raise KeyboardInterrupt

        X, y = problem(KINDS[kind])
        monkeypatch.setattr(base, "greedy", interrupts)
        model = ensemble(kind, selection="greedy")
        with interrupted:
            model.fit(X, y)
        assert_array_equal(model.weights_, np.full(4, 0.25))
        assert model.selection_costs_ is None

    @both
    def test_by_a_watcher_of_one_member_ends_this_member_alone(self, kind):
        X, y = problem(KINDS[kind])
        ended = []

        def watcher(epoch, max_iter, loss):
            if epoch == 2 and not ended:
                ended.append(epoch)
                raise KeyboardInterrupt

        model = ensemble(kind, EARLY)
        with watch(watcher), interrupted:
            model.fit(X, y)
        assert sorted(member.n_iter_ == 2 for member in model.members_) == [False, False, False, True]

    @both
    def test_of_a_prediction_leaves_the_ensemble(self, kind, monkeypatch):
        from fastbp.kernels import prediction

        X, y = problem(KINDS[kind])
        model = ensemble(kind).fit(X, y)
        before, expected, predict = dict(vars(model)), output(model, X), prediction.predict

        def call(*args):
            predict(*args)
            signal.raise_signal(signal.SIGINT)

        with monkeypatch.context() as patch:
            patch.setattr(prediction, "predict", call)
            with pytest.raises(KeyboardInterrupt):
                model.predict(X)
        assert vars(model) == before
        assert_array_equal(output(model, X), expected)
