"""Schedules of the learning rate: their factors, and steps that follow them within an epoch."""

import math
import pickle
import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from fastbp import BackpropClassifier
from fastbp.kernels import optimizers
from fastbp.training.optimizer_state import set_rates
from fastbp.training.schedules import PLANS, Schedule
from support import reference
from support.classifiers import iris
from support.steps import RATES, Tasks, network, over_dtypes, random_examples, random_theta, trainer

EXACT = {  # progress: factor
    "cosine": {0.0: 1.0, 1 / 3: 0.75, 0.5: 0.5, 2 / 3: 0.25, 1.0: 0.0},
    "flat_cosine": {0.0: 1.0, 0.3: 1.0, 0.5: 1.0, 2 / 3: 0.75, 0.75: 0.5, 1.0: 0.0},
    "one_cycle": {0.0: 0.04, 0.15: 0.52, 0.3: 1.0, 0.65: 0.5 * (1 + 4e-6), 1.0: 4e-6},
    "coslog": {
        0.0: 0.0,
        (2**0.5 - 1) / 15: 1.0,
        1 / 15: 0.0,
        (2**1.25 - 1) / 15: 0.5,
        3 / 15: 0.0,
        7 / 15: 0.0,
        1.0: 0.0,
    },
}


@pytest.mark.parametrize("name", PLANS)
def test_the_factor_of_a_plan_is_that_of_its_formula(name):
    for progress, factor in EXACT[name].items():
        assert PLANS[name](progress) == pytest.approx(factor, abs=1e-14)


def test_the_progress_of_a_step_is_its_share_of_all_steps_of_all_epochs():
    schedule = Schedule(lambda p: p, 0.1, epochs=4)
    factors = [schedule.factors(epoch, 5) for epoch in (1, 2, 3, 4)]
    np.testing.assert_allclose(np.concatenate(factors), np.arange(20) / 20, rtol=1e-15)
    np.testing.assert_array_equal(schedule.factors(6, 5), np.ones(5))
    later = Schedule(lambda p: p, 0.1, epochs=4, first_epoch=2)
    np.testing.assert_array_equal(later.factors(1, 5), factors[2])


def test_the_warm_up_multiplies_the_factors_of_its_share_of_the_steps():
    factors = Schedule("constant", 0.1, warmup=0.25, epochs=4).factors
    np.testing.assert_array_equal(factors(1, 8), np.arange(1, 9) / 8)
    np.testing.assert_array_equal(factors(2, 8), np.ones(8))
    cosine, warmed = (Schedule("cosine", 0.1, warmup=warmup, epochs=2).factors(1, 6) for warmup in (0, 0.5))
    np.testing.assert_allclose(warmed, cosine * np.arange(1, 7) / 6, rtol=1e-15)


@pytest.mark.parametrize("name", ["sgd", "nesterov", "adam"])
def test_each_step_of_an_epoch_has_its_own_rate(name):
    factors = np.array([0.3, 0.0, 1.0, 0.5])
    rng = np.random.default_rng(0)
    shape = network(np.dtype(np.float64))
    theta, coefs, intercepts = random_theta(shape, rng)
    examples = random_examples(shape, rng, 100)
    ours = trainer(shape, theta, examples, batch=30, optimizer=getattr(optimizers, name.upper()), planned=True, alpha=0)
    ours.factors[:] = factors
    theirs = reference.Adam(1.0) if name == "adam" else reference.SGD(1.0, nesterov=name == "nesterov")
    params, Y = coefs + intercepts, np.eye(5)[examples.codes]
    X = np.asarray(examples.X64).reshape(100, -1)
    for _ in range(2):
        for batch, factor in enumerate(factors):
            rows = slice(30 * batch, 30 * batch + 30)
            names = {"activation": "tanh", "out_activation": "softmax", "loss": "log_loss"}
            _, *grads = reference.loss_and_gradient(X[rows], Y[rows], params[:3], params[3:], **names)
            theirs.learning_rate = 0.01 * factor
            params = theirs.step(params, grads[0] + grads[1])
        ours.epoch(np.arange(100))
    found = shape.layout.unpack(ours.theta)
    for one, other in zip(found[0] + found[1], params, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-10)


@over_dtypes
def test_chunks_and_threads_have_the_rate_of_their_batch(dtype):
    rng = np.random.default_rng(1)
    shape = network(dtype)
    theta, examples = random_theta(shape, rng)[0], random_examples(shape, rng, 100)
    runs = []
    for n in (1, 2, 3):
        run = trainer(
            shape, theta, examples, batch=45, chunk=16, team=Tasks(n), optimizer=optimizers.ADAM, planned=True
        )
        run.factors[:] = [1.0, 0.5, 0.25]
        run.epoch(np.arange(100))
        runs.append(run.theta)
    np.testing.assert_array_equal(runs[0], runs[1])
    np.testing.assert_array_equal(runs[0], runs[2])


def test_factors_of_one_have_the_bits_of_no_factors():
    rng = np.random.default_rng(2)
    shape = network(np.dtype(np.float32))
    theta, examples = random_theta(shape, rng)[0], random_examples(shape, rng, 60)
    thetas = []
    for planned in (False, True):
        run = trainer(shape, theta, examples, batch=20, optimizer=optimizers.ADAM, planned=planned)
        set_rates(run, **RATES)
        run.epoch(np.arange(60))
        thetas.append(run.theta)
    np.testing.assert_array_equal(*thetas)


# ---------------------------------------------------------------- the parameters of the estimators

SMALL = {
    "hidden_layer_sizes": (8,),
    "max_iter": 6,
    "tol": 0,
    "n_iter_no_change": 100,
    "random_state": 0,
    "batch_size": 40,
}


def fitted(**params):
    return BackpropClassifier(**{**SMALL, **params}).fit(*iris())


def assert_same_weights(one, other):
    for ours, theirs in zip(one.coefs_ + one.intercepts_, other.coefs_ + other.intercepts_, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def quarter_cosine(p):
    return math.cos(math.pi * p / 2)


@pytest.mark.parametrize("solver", ["sgd", "adam"])
@pytest.mark.parametrize("name", PLANS)
def test_a_name_is_the_function_of_that_name(name, solver):
    assert_same_weights(fitted(learning_rate=name, solver=solver), fitted(learning_rate=PLANS[name], solver=solver))


def test_a_model_with_a_function_as_schedule_can_be_stored():
    model = fitted(learning_rate=quarter_cosine)
    assert_same_weights(pickle.loads(pickle.dumps(model)).fit(*iris()), model)


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_warmup_goes_with_every_rule():
    for params in (
        {},
        {"solver": "sgd", "learning_rate": "invscaling"},
        {"solver": "sgd", "learning_rate": "adaptive"},
    ):
        one, other = fitted(**params), fitted(**params, warmup=0.5)
        assert (one.coefs_[0] != other.coefs_[0]).any()


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_adam_keeps_its_rate_with_the_rules_that_are_for_sgd():
    assert_same_weights(fitted(learning_rate="invscaling"), fitted())


def test_a_plan_that_ends_does_not_warn_that_training_has_not_converged():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not fitted(learning_rate="cosine").converged_
    with pytest.warns(ConvergenceWarning, match="Maximum iterations"):
        fitted(warmup=0.1)


def test_partial_fit_follows_the_plan_from_call_to_call_and_stays_at_its_end():
    X, y = iris()
    whole = fitted(learning_rate="flat_cosine", warmup=0.2, shuffle=False)
    model = BackpropClassifier(**{**SMALL, "learning_rate": "flat_cosine", "warmup": 0.2, "shuffle": False})
    for _ in range(6):
        model.partial_fit(X, y, classes=[0, 1, 2])
    assert_same_weights(model, whole)
    with pytest.warns(UserWarning, match="learning_rate='flat_cosine' has the rate 0 .* max_iter=6 epochs have passed"):
        model.partial_fit(X, y)
    assert_same_weights(model, whole)


def test_a_warm_start_begins_the_plan_anew():
    model = fitted(learning_rate="cosine", warm_start=True)
    before = model.coefs_[0].copy()
    assert (model.fit(*iris()).coefs_[0] != before).any()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"learning_rate": "linear"}, "'learning_rate' parameter .*'coslog'.*Got 'linear'"),
        ({"learning_rate": lambda p: -p}, r"learning_rate=<function.* must return a finite number >= 0 .*got -0\."),
        ({"learning_rate": lambda p: "1"}, "must return a finite number >= 0 .*got '1' for 0"),
        ({"learning_rate": lambda p: 10**400}, "must return a finite number >= 0 .*got OverflowError"),
        ({"learning_rate": lambda p: 1 / p}, "must return a finite number >= 0 .*got ZeroDivisionError"),
        (
            {"learning_rate": "cosine", "solver": "lbfgs"},
            "solver must be sgd or adam for learning_rate='cosine', got 'lb",
        ),
        ({"warmup": 0.1, "solver": "gd"}, "solver must be sgd or adam for warmup=0.1, got 'gd'"),
        ({"warmup": 1.5}, "'warmup' parameter"),
    ],
)
def test_a_wrong_value_is_refused(params, message):
    with pytest.raises(ValueError, match=message):
        fitted(**params)
