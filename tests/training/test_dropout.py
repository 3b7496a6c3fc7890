"""Dropout equals its twin in plain NumPy, drops the right share, and has the same bits however the work is divided."""

from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse

from fastbp import BackpropClassifier, BackpropRegressor
from fastbp.data.examples import as_examples
from fastbp.kernels import optimizers
from fastbp.network.architecture import Network
from fastbp.parallel.team import Team
from fastbp.training.optimizer_state import set_rates
from fastbp.training.regularization import Regularization
from fastbp.training.trainer import Trainer
from support import dropout, reference
from support.classifiers import iris
from support.steps import F64, RATES, Tasks, over_dtypes

WIDTHS = (7, 115, 37, 3)
SEED = 1234567890123456789


class Problem:
    """A network with dropout of every layer, and its data."""

    def __init__(self, dtype=F64, rates=(0.2, 0.5, 0.3), n=60, hidden="tanh"):
        rng = np.random.default_rng(0)
        self.network = Network(WIDTHS, (hidden, hidden, "softmax"), "log_loss", dtype)
        self.names = {"activation": hidden, "out_activation": "softmax", "loss": "log_loss"}
        self.rates, self.n = rates, n
        self.X = rng.normal(size=(n, WIDTHS[0])).astype(np.float32).astype(dtype)
        self.X[self.X < 1.2] = 0  # so few entries that a sparse X stays sparse
        self.codes = rng.integers(3, size=n)
        self.coefs = [rng.normal(size=shape) / np.sqrt(shape[0]) for shape in pairwise(WIDTHS)]
        self.intercepts = [rng.normal(size=width) for width in WIDTHS[1:]]

    def trainer(self, *, form=np.asarray, seed=SEED, **options):
        examples = as_examples(form(self.X), self.network.dtype, codes=self.codes)
        options = {"batch": self.n, "team": Team(1)} | options
        theta = self.network.layout.pack(self.coefs, self.intercepts)
        result = Trainer(self.network, theta, examples, regularization=Regularization(self.rates, seed=seed), **options)
        set_rates(result, **RATES)
        return result

    def masks(self, places, seed=SEED):
        return [
            dropout.factors(p, seed, l, places, width)
            for l, (p, width) in enumerate(zip(self.rates, WIDTHS, strict=False))
        ]

    def reference_gradient(self, rows, places, coefs, intercepts, seed=SEED):
        Y = np.eye(3)[self.codes]
        return dropout.gradient(
            self.X[rows].astype(float), Y[rows], coefs, intercepts, self.masks(places, seed), **self.names
        )


@over_dtypes
@pytest.mark.parametrize("hidden", reference.HIDDEN_ACTIVATIONS)
def test_the_gradient_is_that_of_the_reference_with_the_same_units_dropped(hidden, dtype):
    problem = Problem(dtype, hidden=hidden)
    trainer, order = problem.trainer(), np.random.default_rng(1).permutation(60)
    trainer.epoch(order)
    coefs, intercepts = problem.network.layout.unpack(trainer.grad)
    expected = problem.reference_gradient(order, range(60), problem.coefs, problem.intercepts)
    for found, wanted in zip(coefs + intercepts, expected[0] + expected[1], strict=True):
        np.testing.assert_allclose(found, wanted, rtol=0, atol=(1e-12 if dtype == F64 else 1e-5) * abs(wanted).max())


def test_steps_drop_the_units_of_their_place_in_the_epoch_and_of_their_epoch():
    problem = Problem()
    trainer, optimizer = problem.trainer(batch=25, optimizer=optimizers.ADAM), reference.Adam(0.01)
    params, order = problem.coefs + problem.intercepts, np.random.default_rng(2).permutation(60)
    for epoch in range(3):
        seed = dropout.epoch_seed(SEED, 3 * epoch)
        for places in np.split(np.arange(60), [25, 50]):
            grads = problem.reference_gradient(order[places], places.tolist(), params[:3], params[3:], seed)
            params = optimizer.step(params, grads[0] + grads[1])
        trainer.epoch(order)
    coefs, intercepts = problem.network.layout.unpack(trainer.theta)
    for found, wanted in zip(coefs + intercepts, params, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-10)


def activations(trainer, order):
    """a^(l) of the inputs and the hidden layers in a step over all examples."""
    trainer.epoch(order)
    return [trainer.activation(l, len(order)) for l in range(3)]


def test_the_share_of_dropped_units_is_p_in_every_layer():
    problem = Problem(n=2000, hidden="logistic")  # logistic is never 0
    problem.X[:] = 1
    found = activations(problem.trainer(chunk=2000), np.arange(2000))
    for p, a in zip(problem.rates, found, strict=True):
        share, sigma = np.mean(a == 0), np.sqrt(p * (1 - p) / a.size)
        assert abs(share - p) < 4 * sigma
        by_unit, by_row = np.mean(a == 0, axis=0), np.mean(a == 0, axis=1)
        assert abs(by_unit - p).max() < 5 * np.sqrt(p * (1 - p) / len(a))
        assert abs(np.std(by_row) / np.sqrt(p * (1 - p) / a.shape[1]) - 1) < 0.1


def test_rows_steps_and_layers_drop_different_units():
    problem = Problem(rates=(0.5, 0.5, 0.5), n=400, hidden="logistic")
    problem.X[:] = 1
    trainer = problem.trainer(optimizer=optimizers.SGD, chunk=400)
    (inputs, first, second), (_, later, _) = (activations(trainer, np.arange(400)) for _ in range(2))
    for one, other in [
        (first[1:], first[:-1]),  # rows
        (first[:, 1:], first[:, :-1]),  # units
        (first, later),  # steps
        (first[:, :37], second),  # layers
        (inputs, first[:, :7]),
    ]:
        assert abs(np.mean((one == 0) == (other == 0)) - 0.5) < 4 * 0.5 / np.sqrt(one.size)


@over_dtypes
@pytest.mark.parametrize("form", [np.asarray, np.asfortranarray, scipy.sparse.csr_matrix], ids=["C", "F", "CSR"])
@pytest.mark.parametrize("grouped", [False, True])
def test_threads_chunks_and_the_form_of_the_data_do_not_change_a_bit(form, grouped, dtype, request):
    if grouped:
        request.getfixturevalue("by_groups")
    problem, order = Problem(dtype), np.random.default_rng(3).permutation(60)
    options = {"batch": 50, "optimizer": optimizers.ADAM, "chunk": 24}
    runs = [problem.trainer(**options)]
    runs += [problem.trainer(form=form, team=Tasks(n), **options) for n in (1, 2, 3)]
    assert runs[-1].by_entries == (form is scipy.sparse.csr_matrix)
    losses = [[run.epoch(order) for _ in range(3)] for run in runs]
    for run, loss in zip(runs, losses, strict=True):
        assert loss == losses[0]
        np.testing.assert_array_equal(run.theta, runs[0].theta)


def test_chunks_of_any_size_drop_the_same_units():
    problem, order = Problem(), np.arange(60)
    grads = []
    for chunk in (96, 8, 24):
        trainer = problem.trainer(chunk=chunk)
        trainer.epoch(order)
        grads.append(trainer.grad.copy())
    for grad in grads[1:]:  # sums of chunks differ in their last bits
        np.testing.assert_allclose(grad, grads[0], rtol=0, atol=1e-14)


def fitted(estimator=BackpropClassifier, X=None, n_jobs=1, **params):
    data, y = iris()
    params = {"hidden_layer_sizes": (40, 20), "max_iter": 5, "tol": 0, "random_state": 3} | params
    return estimator(n_jobs=n_jobs, **params).fit(data if X is None else X, y)


def assert_same_weights(one, other):
    for ours, theirs in zip(one.coefs_ + one.intercepts_, other.coefs_ + other.intercepts_, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def differ(one, other):
    return any((a != b).any() for a, b in zip(one.coefs_, other.coefs_, strict=True))


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
class TestEstimators:
    @pytest.mark.parametrize("estimator", [BackpropClassifier, BackpropRegressor])
    @pytest.mark.parametrize("solver", ["sgd", "adam"])
    def test_no_dropout_has_the_bits_of_a_fit_that_does_not_know_it(self, estimator, solver):
        plain = fitted(estimator, solver=solver)
        assert_same_weights(fitted(estimator, solver=solver, dropout=[0, 0.0], input_dropout=0), plain)
        assert differ(fitted(estimator, solver=solver, dropout=0.1), plain)

    def test_dropout_draws_nothing_from_the_random_state(self):
        states = [np.random.RandomState(5) for _ in range(2)]
        for state, p in zip(states, (0, 0.5), strict=True):
            fitted(dropout=p, random_state=state)
        assert states[0].randint(1 << 30) == states[1].randint(1 << 30)

    def test_the_random_state_decides_which_units_are_dropped(self):
        same = [fitted(dropout=0.5, input_dropout=0.1, random_state=seed) for seed in (4, 4, 5)]
        assert_same_weights(same[0], same[1])
        assert differ(same[0], same[2])

    @pytest.mark.parametrize("n_jobs", [2, None])
    def test_any_number_of_jobs_gives_the_same_bits(self, n_jobs):
        rng = np.random.default_rng(6)
        X, y = rng.normal(size=(3000, 20)), rng.integers(3, size=3000)
        params = {"hidden_layer_sizes": (150, 70), "dropout": [0.5, 0.2], "input_dropout": 0.1, "max_iter": 2}
        one, other = (BackpropClassifier(n_jobs=jobs, random_state=0, **params).fit(X, y) for jobs in (1, n_jobs))
        assert_same_weights(one, other)

    def test_one_number_is_that_number_for_every_hidden_layer(self):
        assert_same_weights(fitted(dropout=0.3), fitted(dropout=(0.3, 0.3)))
        assert differ(fitted(dropout=0.3), fitted(dropout=(0.3, 0.2)))

    def test_predictions_and_the_validation_set_drop_nothing(self):
        X, y = iris()
        model = BackpropClassifier((40,), dropout=0.5, random_state=0, max_iter=3).fit(X, y, X_val=X, y_val=y)
        hidden, out = reference.forward(
            X, model.coefs_, model.intercepts_, activation="relu", out_activation="softmax"
        )[1:]
        np.testing.assert_allclose(model.predict_proba(X), out, rtol=1e-10)
        np.testing.assert_allclose(model.hidden_activations(X)[0], hidden, rtol=1e-10, atol=1e-14)
        assert model.validation_loss_curve_[-1] == pytest.approx(-np.log(out[np.arange(len(y)), y]).mean(), rel=1e-10)

    def test_partial_fit_goes_on_with_other_units(self):
        X, y = iris()
        whole = fitted(dropout=0.5, shuffle=False)
        model = BackpropClassifier((40, 20), dropout=0.5, random_state=3, shuffle=False)
        for _ in range(5):
            model.partial_fit(X, y, classes=[0, 1, 2])
        assert_same_weights(model, whole)

    @pytest.mark.parametrize("shuffle", [False, True])
    def test_a_fit_that_continues_another_drops_other_units(self, shuffle):
        X, y = np.random.default_rng(8).normal(size=(1, 6)), [3.0]
        params = {"dropout": 0.5, "warm_start": True, "learning_rate_init": 1e-12, "shuffle": shuffle, "max_iter": 1}
        model = BackpropRegressor(hidden_layer_sizes=(50,), solver="sgd", alpha=0, random_state=0, **params)
        losses = [model.fit(X, y).loss_ for _ in range(4)]
        assert len({round(loss, 6) for loss in losses}) == 4

    @pytest.mark.parametrize(
        ("params", "message"),
        [
            ({"dropout": 1.0}, "dropout"),
            ({"dropout": [0.1]}, "one for each of the 2 hidden layers, got \\[0.1\\]"),
            ({"dropout": [0.1, 1.0]}, "number in \\[0, 1\\), or one for each"),
            ({"dropout": [0.1, "0.2"]}, "number in \\[0, 1\\), or one for each"),
            ({"input_dropout": -0.1}, "input_dropout"),
            ({"dropout": 0.1, "solver": "lbfgs"}, "solver must be sgd or adam for dropout=0.1, got 'lbfgs'"),
            ({"input_dropout": 0.1, "solver": "gd"}, "solver must be sgd or adam for input_dropout=0.1, got 'gd'"),
        ],
    )
    def test_a_wrong_value_is_refused(self, params, message):
        with pytest.raises(ValueError, match=message):
            fitted(**params)
