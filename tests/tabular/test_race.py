"""The race trains and chooses the networks of an obvious slow twin. Folds, and the recipe for tables of any shape."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from fastbp import BackpropClassifier, BackpropRegressor, TableEncoder, TabularClassifier
from fastbp.estimators.validation_set import GivenValidation
from fastbp.tabular import recipe
from fastbp.tabular.folds import folds
from fastbp.tabular.inputs import Inputs
from fastbp.tabular.race import Race, Task
from support.tabular import numbers, table

N, N_CANDIDATES = 120, 8
X, X_VAL = table(N), table(40, seed=1)
WEIGHTS = np.random.default_rng(2).integers(1, 4, N).astype(float)


def targets(kind):
    """y of the table and of the validation set, as networks learn it."""
    pair = [numbers(each).astype(np.float32) for each in (X, X_VAL)]
    return pair if kind is BackpropRegressor else [np.digitize(each, [0, 1]) for each in pair]


def twin(kind, candidates, seeds, n_kept, y, weights, held_out, validation):
    """The networks of each candidate, and the candidates that stay. Each network is fitted alone, one after the other.

    validation: y and weights of the validation set; None if folds are held out.
    """
    codes = y if kind is BackpropClassifier else None
    encoded = {}
    for each in candidates:
        encoder = recipe.encoder(each.encoding, X.shape, {"random_state": 3})
        encoded[each.encoding] = encoder.fit_transform(X, y if codes is None else codes), encoder.transform(X_VAL)
    networks = {i: [] for i in range(len(candidates))}
    left = list(networks)

    def mean_loss(i):
        return np.mean([min(network.validation_loss_curve_) for network in networks[i]])

    for number, row in enumerate(seeds):
        for i in left:
            inputs, inputs_val = encoded[candidates[i].encoding]
            network = kind(**candidates[i].network, random_state=row[i], early_stopping=True, monitor="loss")
            if validation is not None:
                network.fit(inputs, y, weights, X_val=inputs_val, y_val=validation[0], sample_weight_val=validation[1])
            else:
                fold = held_out[number % len(held_out)]
                rest = np.setdiff1d(np.arange(N), fold)
                given = {"X_val": inputs[fold], "y_val": y[fold], "sample_weight_val": weights[fold]}
                network.fit(inputs[rest], y[rest], weights[rest], **given)
            networks[i].append(network)
        is_last = number == len(seeds) - 1
        left = sorted(left, key=mean_loss)[: n_kept if is_last else max(n_kept, len(left) // 2)]
    return networks, left


@pytest.mark.parametrize("is_given", [False, True])
@pytest.mark.parametrize(("n_rounds", "n_kept"), [(1, 1), (4, 2), (4, 1)])
@pytest.mark.parametrize("kind", [BackpropClassifier, BackpropRegressor])
def test_the_networks_are_those_of_the_slow_twin(kind, n_rounds, n_kept, is_given):
    random_state = np.random.RandomState(0)
    candidates = recipe.candidates(N_CANDIDATES, N, random_state)
    seeds = random_state.randint(2**31 - 1, size=(n_rounds, N_CANDIDATES))
    y, y_val = targets(kind)
    held_out = folds(N, y if kind is BackpropClassifier else None, 3, random_state)  # the fourth round has the first
    weights_val = np.arange(40) % 3
    given = GivenValidation(X_VAL, y_val, weights_val) if is_given else None
    options = {"random_state": 3}
    race = Race(
        candidates, Inputs(X, y, X_VAL if is_given else None, options), Task(y, WEIGHTS, held_out, given, kind), seeds
    )
    kept = race.run(n_kept, 2, None, lambda line: None)
    pair = (y_val, weights_val) if is_given else None
    expected, left = twin(kind, candidates, seeds, n_kept, y, WEIGHTS, held_out, pair)
    assert kept == left
    for i in range(N_CANDIDATES):
        losses = [min(network.validation_loss_curve_) for network in expected[i]]
        assert [network.loss for network in race.networks[i]] == losses
    for i in kept:
        for found, alone in zip(race.networks[i], expected[i], strict=True):
            for name in ("coefs_", "intercepts_"):
                for a, b in zip(getattr(found.estimator, name), getattr(alone, name), strict=True):
                    assert_array_equal(a, b)
    assert {i for i in race.networks if race.networks[i][0].estimator is not None} == set(kept)


@pytest.mark.parametrize("n", [4, 5, 17, 100])
@pytest.mark.parametrize("n_classes", [None, 1, 2, 3, 40])
def test_folds_are_disjoint_and_spread_the_classes(n, n_classes):
    random_state = np.random.RandomState(n)
    codes = None
    if n_classes is not None:
        codes = np.unique(random_state.randint(n_classes, size=n), return_inverse=True)[1]
    found = folds(n, codes, 8, random_state)
    rows = np.concatenate(found)
    assert len(np.unique(rows)) == len(rows)
    assert all((np.diff(fold) > 0).all() for fold in found)
    if len(found) == 1:
        assert len(rows) == 0
        return
    assert all(len(fold) >= 2 for fold in found)
    assert max(map(len, found)) - min(map(len, found)) <= 1
    counts = np.ones(n) if codes is None else np.bincount(codes)[codes]
    if codes is None:
        assert len(rows) == n
        return
    assert set(rows) == set(np.flatnonzero(counts > 1))  # a class with one example is in no fold
    for code in np.unique(codes):
        of_class = [int((codes[fold] == code).sum()) for fold in found]
        assert max(of_class) - min(of_class) <= 1
        assert all((np.delete(codes, fold) == code).any() for fold in found)


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_too_few_rows_make_one_empty_fold(n):
    for codes in (None, np.zeros(n, np.intp), np.arange(n)):
        assert [fold.tolist() for fold in folds(n, codes, 8, np.random.RandomState(0))] == [[]]


def test_folds_are_drawn():
    first, second = (folds(100, None, 8, np.random.RandomState(seed)) for seed in (0, 1))
    assert any(not np.array_equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("name", recipe.ENCODINGS)
@pytest.mark.parametrize("shape", [(1, 1), (10**9, 3), (100, 2000), (100, 10**5), (10**6, 50), (1000, 10)])
def test_an_encoder_of_the_recipe_has_legal_parameters_and_few_outputs(name, shape):
    encoder = recipe.encoder(name, shape, {"random_state": 0})
    assert isinstance(encoder, TableEncoder)
    encoder._validate_params()
    outputs = 1 + encoder.numbers.count("+") if "ple" not in encoder.numbers else 2 + encoder.n_bins
    most = min(recipe.MOST_INPUTS, max(recipe.MOST_ELEMENTS // shape[0], shape[1]))
    assert outputs * shape[1] <= max(most, shape[1])
    rng = np.random.default_rng(0)
    values = rng.integers(0, 300, (600, 1)).astype(float)
    found = TableEncoder(**{**encoder.get_params(), "sparse_output": False}).fit_transform(values, rng.random(600))
    assert found.shape[1] <= outputs


@pytest.mark.parametrize("n_examples", [1, 10, 1000, 10**9])
def test_candidates_are_legal_and_take_turns_with_the_encodings(n_examples):
    drawn = recipe.candidates(13, n_examples, np.random.RandomState(0))
    names = list(recipe.ENCODINGS)
    assert [each.encoding for each in drawn] == [names[i % len(names)] for i in range(13)]
    for each in drawn:
        BackpropClassifier(**each.network)._validate_params()
    assert len({each.network["learning_rate_init"] for each in drawn}) == 13


def test_the_estimator_runs_this_race(monkeypatch):
    shapes, run = [], Race.run

    def spied(self, *args):
        kept = run(self, *args)
        shapes.append((self._seeds.shape, len(self._task.folds), len(kept)))
        return kept

    monkeypatch.setattr(Race, "run", spied)
    y = targets(BackpropClassifier)[0]
    for n_networks in (1, 3, 4, 5):
        TabularClassifier(n_networks, random_state=0).fit(X, y)
    assert shapes == [((1, 4), 8, 1), ((3, 4), 8, 1), ((4, 4), 8, 1), ((4, 8), 8, 2)]
