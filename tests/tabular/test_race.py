"""The race trains and chooses the networks that an obvious slow twin chooses. Folds and the recipe are checked too."""

import itertools
import math
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from scipy.sparse import issparse
from sklearn.exceptions import ConvergenceWarning

from fastbp import BackpropClassifier, BackpropRegressor, TableEncoder, TabularClassifier, TabularRegressor
from fastbp.estimators.validation_set import GivenValidation
from fastbp.tabular import recipe
from fastbp.tabular.folds import folds
from fastbp.tabular.inputs import Inputs
from fastbp.tabular.progress import Progress
from fastbp.tabular.race import Race, Task
from support.tabular import numbers, table

N, N_CANDIDATES, SCOUT_ROUNDS = 120, 8, 2
X, X_VAL = table(N), table(40, seed=1)
WEIGHTS = np.random.default_rng(2).integers(1, 4, N).astype(float)


def targets(kind):
    """y of the table and of the validation set, as networks learn it."""
    pair = [numbers(each).astype(np.float32) for each in (X, X_VAL)]
    return pair if kind is BackpropRegressor else [np.digitize(each, [0, 1]) for each in pair]


def alone(kind, network, seed):
    """An unfitted network for the parameters of a candidate."""
    given = {name: value for name, value in network.items() if name != "huber"}
    given |= {"early_stopping": True, "tol": 0, "alpha": 0, "random_state": seed}
    if kind is BackpropClassifier:
        return BackpropClassifier(monitor="loss", **given)
    return BackpropRegressor("huber" if network.get("huber") else "squared_error", monitor="score", **given)


def loss(network, n_epochs=None):
    """The log loss of the best epoch, or 1 - R^2. n_epochs: of the first epochs only."""
    if isinstance(network, BackpropClassifier):
        return min(network.validation_loss_curve_[:n_epochs])
    return 1 - max(network.validation_scores_[:n_epochs])


def twin(kind, candidates, seeds, n_kept, y, held_out, validation):
    """The networks of each candidate, and the candidates that stay. Each network is fitted alone, one by one.

    validation: y and weights of the validation set; None if folds are held out.
    """
    encoded = {}
    for each in candidates:
        encoder = recipe.encoder(each.encoding, X.shape, {"random_state": 3})
        encoded[each.encoding] = encoder.fit_transform(X, y), encoder.transform(X_VAL)
    names = list(encoded)
    repeated = {b for a, b in itertools.combinations(names, 2) if np.array_equal(encoded[a][0], encoded[b][0])}
    networks = {i: [] for i in range(len(candidates))}
    left = [i for i in networks if candidates[i].encoding not in repeated]

    def mean_loss(i):
        return np.mean([loss(network) for network in networks[i]])

    for number, row in enumerate(seeds):
        trained = {}
        for i in left:
            inputs, inputs_val = encoded[candidates[i].encoding]
            network = alone(kind, candidates[i].network, row[i])
            if validation is not None:
                given = {"X_val": inputs_val, "y_val": validation[0], "sample_weight_val": validation[1]}
                rest = np.arange(N)
            else:
                fold = held_out[number % len(held_out)]
                rest = np.setdiff1d(np.arange(N), fold)
                given = {"X_val": inputs[fold], "y_val": y[fold], "sample_weight_val": WEIGHTS[fold]}
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                network.fit(inputs[rest], y[rest], WEIGHTS[rest], **given)
            trained[i] = network
        if number == 0 and n_kept < len(left):
            fifths = [math.ceil(each.network["max_iter"] / 5) for each in candidates]
            left = sorted(left, key=lambda i: loss(trained[i], fifths[i]))[: max(n_kept, len(left) // 2)]
        for i in left:
            networks[i].append(trained[i])
        left = sorted(left, key=mean_loss)[:n_kept]
    return networks, left


def assert_same(race, first, kept, n_kept, expected, left):
    """The losses of all candidates from `first` on, and the networks of those that are left, are those of the twin."""
    assert kept == [first + i for i in left[:n_kept]]
    for i, networks in expected.items():
        assert race.losses.get(first + i, []) == [loss(network) for network in networks]
    assert set(race.networks) == {first + i for i in left}
    for i in race.networks:
        for found, network in zip(race.networks[i], expected[i - first], strict=True):
            for name in ("coefs_", "intercepts_"):
                for a, b in zip(getattr(found.estimator, name), getattr(network, name), strict=True):
                    assert_array_equal(a, b)


@pytest.mark.parametrize("is_given", [False, True])
@pytest.mark.parametrize(("n_rounds", "n_kept"), [(1, 1), (4, 2), (4, 1)])
@pytest.mark.parametrize("kind", [BackpropClassifier, BackpropRegressor])
def test_the_networks_are_those_of_the_slow_twin(kind, n_rounds, n_kept, is_given):
    random_state = np.random.RandomState(0)
    y, y_val = targets(kind)
    held_out = folds(N, y if kind is BackpropClassifier else None, 3, random_state)  # the fourth round has the first
    pair = (y_val, np.arange(40) % 3) if is_given else None
    given = GivenValidation(X_VAL, *pair) if is_given else None
    inputs = Inputs(X, y, X_VAL if is_given else None, {"random_state": 3})
    model = TabularClassifier() if kind is BackpropClassifier else TabularRegressor()
    task = Task(y, WEIGHTS, held_out, given, model._network, model._validation_loss)
    race = Race(inputs, task, Progress(6, None), n_jobs=2, end=None)

    scouts = recipe.scouts(N)
    seeds = random_state.randint(2**31 - 1, size=(SCOUT_ROUNDS, len(scouts)))
    ranked = race.run(scouts, seeds, len(scouts))
    assert_same(race, 0, ranked, len(scouts), *twin(kind, scouts, seeds, len(scouts), y, held_out, pair))

    encodings = [scouts[i].encoding for i in ranked]
    candidates = recipe.candidates(N_CANDIDATES, encodings, N, random_state)
    seeds = random_state.randint(2**31 - 1, size=(n_rounds, N_CANDIDATES))
    kept = race.run(candidates, seeds, n_kept)
    assert_same(race, len(scouts), kept, n_kept, *twin(kind, candidates, seeds, n_kept, y, held_out, pair))
    assert race.candidates == [*scouts, *candidates]


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


@pytest.mark.parametrize("name", recipe.ENCODINGS)
def test_a_wide_table_of_text_has_few_outputs(name, monkeypatch):
    monkeypatch.setattr(recipe, "MOST_INPUTS", 200)
    rng, n_columns = np.random.default_rng(0), 10
    text = np.array([f"word {i}" for i in range(30)], object)[rng.integers(0, 30, (200, n_columns))]
    narrow = recipe.encoder(name, (200, 3), {"random_state": 0}).fit_transform(text[:, :3], rng.random(200))
    assert narrow.shape[1] > 3 * 20  # one output for each category
    wide = recipe.encoder(name, text.shape, {"random_state": 0}).fit_transform(text, rng.random(200))
    assert wide.shape[1] == n_columns  # the mean target of each category


@pytest.mark.parametrize("n_examples", [1, 10, 1000, 10**9])
def test_candidates_are_legal_and_take_turns_with_the_best_encodings(n_examples):
    names = list(recipe.ENCODINGS)[::-1]
    for n_encodings in (1, 2, 5):
        drawn = recipe.candidates(13, names[:n_encodings], n_examples, np.random.RandomState(0))
        turns = [min(turn, n_encodings - 1) for turn in recipe.TURNS]
        assert [each.encoding for each in drawn] == [names[turns[i % len(turns)]] for i in range(13)]
        assert len({each.network["learning_rate_init"] for each in drawn}) == 13
        for each in drawn:
            for model in (TabularClassifier(), TabularRegressor()):
                model._network(**each.network)._validate_params()
        assert {each.network["huber"] for each in drawn} == {False, True}


@pytest.mark.parametrize("n_examples", [1, 10, 1000, 10**9])
def test_there_is_a_legal_scout_for_each_encoding_and_they_differ_in_nothing_else(n_examples):
    scouts = recipe.scouts(n_examples)
    assert [each.encoding for each in scouts] == list(recipe.ENCODINGS)
    assert all(each.network == scouts[0].network for each in scouts)
    BackpropClassifier(**scouts[0].network)._validate_params()


def trained_scouts(model):
    """The encodings of the scouts that have trained networks."""
    scouts = model.candidates_[: len(recipe.ENCODINGS)]
    return [each["encoding"] for each in scouts if each["losses"]]


@pytest.mark.parametrize("is_sparse", [False, True])
def test_equal_encodings_are_one(is_sparse):
    rng = np.random.default_rng(0)
    n_columns, n_values = (8, 40) if is_sparse else (1, 3)
    text = pd.DataFrame(rng.integers(0, n_values, (400, n_columns)), columns=list("abcdefgh")[:n_columns])
    text = text.map("city {}".format)
    inputs = Inputs(text, rng.random(400), None, {"random_state": 0})
    first, *others = recipe.ENCODINGS
    assert issparse(inputs[first][0]) == is_sparse
    n_bytes = inputs.n_bytes
    for name in others:
        assert inputs.drop_if_equal(name, [first])
        assert inputs.n_bytes == n_bytes  # that of the other encoding is free
    with_numbers = Inputs(text.assign(size=rng.normal(size=400)), rng.random(400), None, {"random_state": 0})
    assert [with_numbers.drop_if_equal(name, [first]) for name in others] == [False, False, False, True]


def test_a_table_that_has_one_encoding_has_one_scout_and_all_candidates_have_this_encoding():
    X, y = table(60)[["city"]], targets(BackpropClassifier)[0][:60]
    model = TabularClassifier(n_networks=1, random_state=0).fit(X, y)
    assert trained_scouts(model) == ["8 quantiles"]
    assert {each["encoding"] for each in model.candidates_[len(recipe.ENCODINGS) :]} == {"8 quantiles"}
    assert len(model.encoders_) == 1


def test_a_table_so_long_that_encodings_have_the_same_limits_has_fewer_scouts(monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 3))
    y = X[:, 0] > 0
    monkeypatch.setattr(recipe, "MOST_ELEMENTS", 300 * 3 * 20)  # 18 bins
    model = TabularClassifier(n_networks=1, random_state=0).fit(X, y)
    assert trained_scouts(model) == ["8 quantiles", "16 quantiles", "48 quantiles"]


def test_the_estimator_runs_this_race(monkeypatch):
    found, run = [], Race.run

    def spied(self, candidates, seeds, n_kept):
        kept = run(self, candidates, seeds, n_kept)
        found.append((seeds.shape, len(self._task.folds), len(kept)))
        assert len(np.unique(seeds)) == seeds.size
        encodings.append([self.candidates[i].encoding for i in kept])
        drawn.append([each.encoding for each in candidates])
        return kept

    monkeypatch.setattr(Race, "run", spied)
    y = targets(BackpropClassifier)[0]
    for n_networks, shape, n_kept in ((1, (1, 4), 1), (3, (3, 4), 1), (4, (4, 4), 1), (5, (4, 8), 2)):
        found, encodings, drawn = [], [], []
        TabularClassifier(n_networks, random_state=0).fit(X, y)
        assert found == [((2, 5), 8, 4), (shape, 8, n_kept)]
        assert drawn[0] == list(recipe.ENCODINGS)
        turns = [recipe.TURNS[i % len(recipe.TURNS)] for i in range(shape[1])]
        assert drawn[1] == [encodings[0][turn] for turn in turns]
