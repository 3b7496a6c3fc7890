"""Modern training on Dask: the same steps as on one machine, whatever the partitions."""

import numpy as np
import pytest

import fastbp
import fastbp.dask
from support.partitions import OPTIONS, assert_same_model, partitioned

pytestmark = [pytest.mark.usefixtures("two_processes"), pytest.mark.filterwarnings("ignore:Stochastic Optimizer")]
THREE = (7, 13, 40)
INGREDIENTS = [
    {"weight_decay": 0.3},
    {"learning_rate": "cosine", "warmup": 0.3},
    {"dropout": 0.4},
    {"dropout": 0.2, "input_dropout": 0.3},
    {"max_grad_norm": 0.05},
    {"label_smoothing": 0.2},
    {"activation": "mish", "init": "he"},
]
ALL = {
    "weight_decay": 0.1,
    "learning_rate": "flat_cosine",
    "dropout": 0.3,
    "input_dropout": 0.1,
    "max_grad_norm": 0.1,
    "label_smoothing": 0.1,
}


def both(X, y, rows, estimator="BackpropClassifier", **params):
    options = {**OPTIONS, "solver": "adam", "batch_size": 17, **params}
    local = getattr(fastbp, estimator)(**options).fit(X, y)
    return getattr(fastbp.dask, estimator)(**options).fit(partitioned(X, rows), y), local


@pytest.mark.parametrize("solver", ["sgd", "adam"])
@pytest.mark.parametrize("params", INGREDIENTS, ids=str)
def test_each_ingredient_gives_the_model_of_one_machine(params, solver, X, y):
    found, local = both(X, y, THREE, solver=solver, **params)
    assert_same_model(found, local)
    plain = fastbp.BackpropClassifier(**{**OPTIONS, "solver": solver, "batch_size": 17}).fit(X, y)
    assert any((a != b).any() for a, b in zip(local.coefs_, plain.coefs_, strict=True))


@pytest.mark.parametrize("rows", [(60,), THREE, (1, 9, 9, 20, 21)], ids=str)
def test_all_together_give_the_model_of_one_machine(rows, X, y):
    assert_same_model(*both(X, y, rows, **ALL))


def test_partitions_drop_the_same_units(X, y):
    one, three = (both(X, y, rows, **ALL)[0] for rows in ((60,), THREE))
    assert_same_model(one, three)


@pytest.mark.parametrize(
    "params", [{"loss": "huber", "huber_delta": 0.5}, {"loss": "quantile", "quantile": [0.2, 0.8]}], ids=str
)
def test_losses_with_options_give_the_model_of_one_machine(params, X):
    y = X @ np.arange(5.0)
    found, local = both(X, y, THREE, "BackpropRegressor", **params)
    assert_same_model(found, local)
    assert found.score(partitioned(X), y) == pytest.approx(local.score(X, y), rel=1e-6)


def squares(z, y):
    return 0.5 * np.sum((z - y) ** 2)


def squares_gradient(z, y, out):
    out[:] = z - y


def test_a_loss_of_the_users_own_gives_the_model_of_one_machine(X):
    found, local = both(X, X @ np.arange(5.0), THREE, "BackpropRegressor", loss=(squares, squares_gradient))
    assert_same_model(found, local)


def test_partial_fit_follows_the_plan(X, y):
    params = {**OPTIONS, "solver": "adam", "batch_size": 17, "learning_rate": "cosine", "dropout": 0.3}
    local, remote = fastbp.BackpropClassifier(**params), fastbp.dask.BackpropClassifier(**params)
    for _ in range(3):
        local.partial_fit(X, y, classes=[0, 1, 2])
        remote.partial_fit(partitioned(X, THREE), y, classes=[0, 1, 2])
    assert_same_model(remote, local)
