"""Each member of a population has the bits of a fit alone. Its failure or its end does not change the others."""

import itertools
import threading
import time
import warnings

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from fastbp import BackpropClassifier, BackpropRegressor
from fastbp.estimators import run as run_module
from fastbp.estimators.run import Shared, beginning
from fastbp.parallel import team
from fastbp.training import population
from fastbp.training.observer import watch
from fastbp.training.population import Population

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(8)
X = RNG.normal(size=(120, 6))
Y = np.digitize(X[:, 0] + 0.3 * RNG.normal(size=120), [-0.4, 0.4])
BASE = BackpropClassifier((7,), max_iter=9, random_state=0)
KINDS = {
    "adam": {},
    "sgd": {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.1},
    "lbfgs": {"solver": "lbfgs"},
    "gd": {"solver": "gd"},
    "early stopping": {"early_stopping": True, "n_iter_no_change": 2},
    "dropout": {"dropout": 0.4, "max_grad_norm": 1.0},
    "float32": {"dtype": "float32"},
    "a scorer": {"early_stopping": True, "monitor": "neg_log_loss"},
    "weights of classes": {"class_weight": "balanced"},
}
NETS = [
    clone(BASE).set_params(**options, random_state=seed, hidden_layer_sizes=sizes)
    for options in KINDS.values()
    for seed, sizes in enumerate([(7,), (5, 3)])
]


def beginner(net, shared, *args, **options):
    """A function that begins a fit of the net."""

    def begin():
        with beginning(net, shared) as runs:
            net.fit(*(args or (X, Y)), **options)
        return runs[0]

    return begin


def fitted(vars_of):
    """The fitted attributes, as bytes where they are arrays."""
    arrays = {name: value for name, value in vars_of.items() if name.endswith("_")}
    return {k: [np.asarray(a).tobytes() for a in v] if isinstance(v, list) else repr(v) for k, v in arrays.items()}


@pytest.mark.parametrize("n_jobs", [1, 2, 4])
def test_members_have_the_bits_of_fits_on_their_own(n_jobs):
    nets, shared = [clone(net) for net in NETS], Shared()
    members = Population([beginner(net, shared) for net in nets], n_jobs)
    for n_epochs in (1, 3, None):
        members.advance(range(len(nets)), n_epochs, lambda i, run: None)
    for i, net in enumerate(nets):
        assert members[i].ended
        members[i].finish(stacklevel=1)
        alone = clone(net).fit(X, Y)
        assert fitted(vars(net)) == fitted(vars(alone)), net
        assert_array_equal(net.predict_proba(X), alone.predict_proba(X))
        if repr(net) == repr(clone(BASE).set_params(hidden_layer_sizes=(5, 3), random_state=1)):
            # the state of the optimiser is the same too
            assert_array_equal(net.partial_fit(X, Y).coefs_[0], alone.partial_fit(X, Y).coefs_[0])
    assert members.errors == {}


def test_members_with_the_same_data_share_what_is_laid_out():
    shared = Shared()
    nets = [clone(BASE).set_params(random_state=seed, alpha=0.1 * seed) for seed in range(4)]
    members = Population([beginner(net, shared, X, Y, sample_weight=None) for net in nets], 2)
    members.advance(range(4), 1, lambda i, run: None)
    assert len({id(members[i]._fit.examples) for i in range(4)}) == 1
    other = Population([beginner(clone(BASE).set_params(dtype="float32"), shared, X, Y)], 2)
    other.advance([0], 1, lambda i, run: None)
    assert other[0]._fit.examples is not members[0]._fit.examples


def test_a_waiting_member_predicts_as_a_shorter_fit():
    net = clone(BASE)
    members = Population([beginner(net, Shared())], 1)
    models = [members.advance([0], 2, lambda i, run: run.show() or net._as_now())[0] for _ in range(3)]
    for n_epochs, model in zip((2, 4, 6), models, strict=True):
        alone = clone(BASE).set_params(max_iter=n_epochs).fit(X, Y)
        assert_array_equal(model.predict_proba(X), alone.predict_proba(X))
        assert model.n_iter_ == members[0].n_iter - 6 + n_epochs
    assert not members[0].ended


def test_members_may_train_for_different_numbers_of_epochs():
    nets, shared = [clone(BASE).set_params(max_iter=n) for n in (2, 4, 9)], Shared()
    members = Population([beginner(net, shared) for net in nets], 2)
    found = members.advance(range(3), lambda i: i + 2, lambda i, run: (run.n_iter, run.ended))
    assert found == {0: (2, True), 1: (3, False), 2: (4, False)}


def test_waiting_members_of_an_interrupted_population_end_when_they_are_advanced():
    nets, shared = [clone(BASE), clone(BASE)], Shared()
    members = Population([beginner(net, shared) for net in nets], 2)
    members.advance([0, 1], 3, lambda i, run: None)
    members.interrupt()
    members[0].advance()
    assert members[0].ended
    assert members[0].n_iter <= 4
    members.advance([1], None, lambda i, run: None)  # takes the interrupt back
    assert members[1].n_iter == 9


def test_a_member_that_fails_is_recorded_and_the_rest_go_on():
    bad = clone(BASE).set_params(learning_rate_init=1e200)
    nets = [clone(BASE), bad, clone(BASE).set_params(hidden_layer_sizes=(-1,)), clone(BASE).set_params(alpha=1.0)]
    members = Population([beginner(net, Shared()) for net in nets], 2)
    found = members.advance(range(4), None, lambda i, run: run.n_iter)
    assert found == {0: 9, 3: 9}
    assert members.begun == [0, 3]
    assert {i: str(error)[:30] for i, error in members.errors.items()} == {
        1: "Solver produced non-finite par",
        2: "hidden_layer_sizes must be > 0",
    }


def test_members_can_be_dropped_and_the_rest_resumed():
    nets = [clone(BASE).set_params(random_state=seed) for seed in range(3)]
    members = Population([beginner(net, Shared()) for net in nets], 2)
    members.advance(range(3), 2, lambda i, run: None)
    members.drop(1)
    assert members.begun == [0, 2]
    with pytest.raises(KeyError):
        members[1]
    assert members.advance(members.begun, None, lambda i, run: run.n_iter) == {0: 9, 2: 9}


def test_an_error_of_the_caller_ends_the_call():
    nets = [clone(BASE).set_params(max_iter=10**9, n_iter_no_change=np.inf) for _ in range(3)]
    members = Population([beginner(net, Shared()) for net in nets], 2)

    def fail(i, run):
        raise ZeroDivisionError(f"member {i}")

    with pytest.raises(ZeroDivisionError, match="member"):
        members.advance(range(3), 2, fail)
    with pytest.raises(ZeroDivisionError, match="member 1"):
        members.each([0, 1], lambda i, run: run.advance() if i == 0 else fail(i, run))
    assert members[0].ended  # this member was training, and ended as after Ctrl-C


@pytest.mark.parametrize("moment", ["while members begin", "while members train", "while threads start"])
def test_ctrl_c_ends_all_members_with_the_weights_that_they_have(moment, monkeypatch, press_ctrl_c):
    nets = [clone(BASE).set_params(max_iter=10**9, n_iter_no_change=np.inf, random_state=seed) for seed in range(4)]
    calls = itertools.count()

    def press(epoch, max_iter, loss):
        if moment == "while members train" and next(calls) == 20:
            press_ctrl_c()

    def begin(net):
        def begun():
            if moment == "while members begin" and next(calls) == 1:
                press_ctrl_c()
            return beginner(net, Shared())()

        return begun

    def start(thread):
        begin_thread(thread)
        if moment == "while threads start" and next(calls) == 1:
            raise KeyboardInterrupt

    begin_thread = threading.Thread.start
    monkeypatch.setattr(threading.Thread, "start", start)
    members = Population([begin(net) for net in nets], 2)
    with watch(press), pytest.raises(KeyboardInterrupt):
        members.advance(range(4), None, lambda i, run: None)
    assert members.begun
    for i in members.begun:
        assert members[i].ended
        with pytest.warns(UserWarning, match="interrupted"):
            members[i].finish(stacklevel=1)


@pytest.mark.parametrize("seconds", [-1.0, 0.0, 0.05])
def test_after_the_given_seconds_all_members_end_with_the_weights_that_they_have(seconds):
    nets = [clone(BASE).set_params(max_iter=10**9, n_iter_no_change=np.inf, random_state=seed) for seed in range(5)]
    members = Population([beginner(net, Shared()) for net in nets], 2)
    done = []
    with watch(lambda *_: time.sleep(0.001)):
        assert members.advance(range(5), None, lambda i, run: done.append(i), seconds) == {}
    assert done == []
    assert len(members.begun) <= 2  # the others do not begin
    for i in members.begun:
        assert members[i].ended
        with pytest.warns(UserWarning, match="interrupted"):
            members[i].finish(stacklevel=1)
    assert members.advance([4], 1, lambda i, run: run.n_iter) == {4: 1}  # the time of one call is over after it


def test_members_that_end_before_the_given_seconds_have_their_results_and_the_bits_of_a_run_without_a_limit():
    alone = clone(BASE).fit(X, Y)  # this may compile
    nets = [clone(BASE), clone(BASE).set_params(max_iter=10**9, n_iter_no_change=np.inf)]
    members = Population([beginner(net, Shared()) for net in nets], 1)
    assert members.advance(range(2), None, lambda i, run: run.n_iter, 1.0) == {0: 9}
    members[0].finish(stacklevel=1)
    assert fitted(vars(nets[0])) == fitted(vars(alone))
    assert members.advance([0], None, lambda i, run: None, 1e300) == {0: None}


def test_members_run_in_other_threads_and_each_has_one():
    seen = []

    def look(i, run):
        seen.append((threading.get_ident(), sklearn.get_config()["assume_finite"]))
        return team.team_for(None, 1e12).n_threads

    members = Population([beginner(clone(BASE), Shared()) for _ in range(3)], 2)
    with sklearn.config_context(assume_finite=True):
        assert members.advance(range(3), 1, look) == {0: 1, 1: 1, 2: 1}
    assert threading.get_ident() not in {thread for thread, _ in seen}
    assert {config for _, config in seen} == {True}


def test_as_many_members_train_at_once_as_the_rules_for_threads_allow(monkeypatch):
    monkeypatch.setattr(team, "upper_bound", lambda n_jobs: 3 if n_jobs is None else n_jobs)
    assert [team.side_by_side(n_jobs) for n_jobs in (None, 1, 2)] == [3, 1, 2]
    with team.one_thread():
        assert team.side_by_side(None) == 1
    monkeypatch.setattr(team, "in_joblib_worker", lambda: True)
    assert [team.side_by_side(n_jobs) for n_jobs in (None, 2)] == [1, 2]
    assert population.side_by_side is team.side_by_side


def test_an_X_at_the_address_of_an_earlier_one_is_laid_out_anew():
    shared = Shared()
    for scale in range(1, 20):
        net = BackpropRegressor(hidden_layer_sizes=(7,), max_iter=3, random_state=0)
        given = (scale * X).tolist()  # nothing but `shared` keeps this list
        with beginning(net, shared) as runs:
            net.fit(given, Y)
        del given
        assert_array_equal(np.ravel(runs[0]._fit.examples.X64), np.ravel(scale * X))


def test_warnings_of_a_member_are_emitted_where_it_is_finished():
    net = clone(BASE)
    members = Population([beginner(net, Shared())], 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        members.advance([0], None, lambda i, run: None)
    with pytest.warns(ConvergenceWarning, match="Maximum iterations") as caught:
        members[0].finish(stacklevel=1)
    assert caught[0].filename == __file__


def test_a_fit_within_beginning_leaves_the_estimator_as_it_was():
    net = BackpropRegressor(hidden_layer_sizes=(7,), max_iter=3, random_state=0).fit(X, Y)
    before = fitted(vars(net))
    with beginning(net) as runs:
        assert net.fit(X[:50], Y[:50] + 1.0) is net
    assert fitted(vars(net)) == before
    (run,) = runs
    run.advance(1)
    assert fitted(vars(net)) == before
    run.advance()
    run.advance()
    run.finish(stacklevel=1)
    assert fitted(vars(net)) != before
    assert run.n_iter == 3


def test_an_interrupt_between_two_epochs_ends_the_training_as_one_within_an_epoch(monkeypatch):
    net, epochs = clone(BASE), itertools.count()

    def interrupted():
        for epoch in epochs:
            if epoch == 3:
                raise KeyboardInterrupt
            yield epoch

    monkeypatch.setattr(run_module.itertools, "count", interrupted)
    with pytest.warns(UserWarning, match="interrupted"):
        net.fit(X, Y)
    alone = clone(BASE).set_params(max_iter=3).fit(X, Y)
    assert_array_equal(net.coefs_[0], alone.coefs_[0])
    assert net.n_iter_ == 3
