"""The kernels get orders of 64 bits, whatever integers NumPy makes: on Windows, NumPy 1 makes integers of 32 bits."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from fastbp.data.examples import as_order
from fastbp.parallel.team import Team
from fastbp.training.evaluation import hidden_layers, predict
from fastbp.training.regularization import Regularization
from support.steps import F64, OPTIMIZERS, Tasks, data_forms, network, random_theta, trainer

N = 60
FORMS = {
    "32 bits": lambda order: order.astype(np.int32),
    "unsigned": lambda order: order.astype(np.uint16),
    "every other one": lambda order: np.repeat(order, 2)[::2],
}
over_forms = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)


@pytest.fixture(scope="module")
def drawn():
    """(network, theta, examples of every form, an order of the examples)."""
    rng, shape = np.random.default_rng(0), network(F64)
    return shape, random_theta(shape, rng)[0], list(data_forms(shape, rng, N)), rng.permutation(N)


@over_forms
def test_an_epoch_and_a_prediction_take_orders_of_any_integers(drawn, form):
    shape, theta, forms, order = drawn
    for examples in forms:
        for team in (Team(1), Tasks(2)):
            thetas, outputs = [], []
            for rows in (order, form(order)):
                run = trainer(shape, theta, examples, optimizer=OPTIMIZERS["adam"], batch=20, team=team)
                run.epoch(rows)
                thetas.append(run.theta)
                outputs.append(predict(shape, theta, examples, rows, team))
            assert_array_equal(*thetas)
            assert_array_equal(*outputs)


@over_forms
def test_rows_and_places_may_have_any_integers(drawn, form):
    shape, theta, (examples, *_), order = drawn
    found = []
    for rows in (order[:30], form(order[:30])):
        regularization = Regularization(dropout=(0.2, 0.3, 0.3), seed=7)
        run = trainer(shape, theta, examples, batch=30, rows=rows, places=rows, regularization=regularization)
        found.append((run.loss_and_gradient(theta), run.grad.copy()))
    assert found[0][0] == found[1][0]
    assert_array_equal(found[0][1], found[1][1])


def test_hidden_layers_do_not_depend_on_the_integers_of_numpy(drawn, monkeypatch):
    shape, theta, (examples, *_), _ = drawn
    expected, usual = hidden_layers(shape, theta, examples, Team(1)), np.arange
    monkeypatch.setattr(np, "arange", lambda *args, **kwargs: usual(*args, **kwargs).astype(np.int32))
    for found, layer in zip(hidden_layers(shape, theta, examples, Team(1)), expected, strict=True):
        assert_array_equal(found, layer)


def test_an_order_that_the_kernels_can_read_is_not_copied():
    order = np.arange(5, dtype=np.int64)
    assert as_order(order) is order
