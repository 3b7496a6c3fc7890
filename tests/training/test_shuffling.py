"""The compiled shuffle gives NumPy's order, and leaves the generator as NumPy does."""

import threading

import numpy as np
import pytest
from numpy.random import RandomState
from numpy.testing import assert_array_equal, assert_equal
from sklearn.utils import check_random_state

from fastbp import BackpropClassifier
from fastbp.kernels import shuffle as kernels
from fastbp.training import shuffling

SEEDS = [0, 1, 42, 2**32 - 1, [1, 2, 3]]


@pytest.fixture
def of_any_size(monkeypatch):
    """Compiled code shuffles the shortest orders, too."""
    monkeypatch.setattr(shuffling, "FEWEST", 0)


def assert_shuffles_alike(n, ours, theirs, times=3):
    """The orders are the same, and so are the generators afterwards."""
    order, expected = np.arange(n), np.arange(n)
    for _ in range(times):
        shuffling.shuffle(order, ours)
        theirs.shuffle(expected)
        assert_array_equal(order, expected)
    assert_equal(ours.get_state(), theirs.get_state())
    assert ours.randn() == theirs.randn()


@pytest.mark.usefixtures("of_any_size")
@pytest.mark.parametrize("seed", SEEDS, ids=str)
def test_every_size_is_shuffled_as_by_numpy(seed):
    for n in [*range(70), 255, 256, 257, 1000, 2**16 - 1, 2**16, 2**16 + 1, 2**16 + 2, 300_000]:
        assert_shuffles_alike(n, RandomState(seed), RandomState(seed))


@pytest.mark.usefixtures("of_any_size")
def test_many_seeds():
    for seed in range(2000):
        assert_shuffles_alike(3 + seed, RandomState(seed), RandomState(seed), times=1)


@pytest.mark.parametrize("used", [0, 1, 2, 226, 227, 622, 623, 624, 625, 1247, 1248])
def test_from_any_position_in_the_state(used):
    ours, theirs = RandomState(7), RandomState(7)
    for random_state in (ours, theirs):
        random_state.bytes(4 * used)
    assert_shuffles_alike(5000, ours, theirs)


def test_the_second_normal_of_a_pair_is_still_to_come():
    ours, theirs = RandomState(7), RandomState(7)
    assert ours.randn() == theirs.randn()  # draws two and keeps the second
    assert_shuffles_alike(5000, ours, theirs)


def test_the_global_generator():
    theirs = RandomState(3)
    ours = check_random_state(None)
    state = ours.get_state()
    try:
        ours.seed(3)
        assert_shuffles_alike(5000, ours, theirs)
    finally:
        ours.set_state(state)


def test_another_generator_shuffles_by_itself():
    ours, theirs = (RandomState(np.random.PCG64(5)) for _ in range(2))
    order, expected = np.arange(5000), np.arange(5000)
    shuffling.shuffle(order, ours)
    theirs.shuffle(expected)
    assert_array_equal(order, expected)


def test_a_subclass_shuffles_by_itself():
    class Sorted(RandomState):
        def shuffle(self, x):
            x.sort()

    order = np.arange(5000)[::-1].copy()
    shuffling.shuffle(order, Sorted(0))
    assert_array_equal(order, np.arange(5000))


@pytest.mark.parametrize("limit", [{"FEWEST": 5001}, {"MOST": 4999}, {"_state_is_known": lambda: False}], ids=list)
def test_numpy_shuffles_what_compiled_code_does_not(limit, monkeypatch):
    def not_called(*args):
        raise AssertionError("the kernel was called")

    monkeypatch.setattr(kernels, "shuffle", not_called)
    with pytest.raises(AssertionError, match="the kernel"):
        shuffling.shuffle(np.arange(5000), RandomState(0))
    for name, value in limit.items():
        monkeypatch.setattr(shuffling, name, value)
    assert_shuffles_alike(5000, RandomState(0), RandomState(0))


def test_the_memory_of_this_numpys_generator_is_known():
    assert shuffling._state_is_known()


def test_another_memory_of_a_generator_is_not_known(monkeypatch):
    read = shuffling._state
    monkeypatch.setattr(shuffling, "_state", lambda generator: np.roll(read(generator), 1))
    assert not shuffling._state_is_known.__wrapped__()


def test_threads_that_share_a_generator_take_turns():
    ours, theirs = RandomState(0), RandomState(0)

    def shuffle_often():
        order = np.arange(20_000)
        for _ in range(50):
            shuffling.shuffle(order, ours)

    tasks = [threading.Thread(target=shuffle_often) for _ in range(4)]
    for task in tasks:
        task.start()
    for task in tasks:
        task.join()
    for _ in range(200):
        theirs.shuffle(np.arange(20_000))
    assert_equal(ours.get_state(), theirs.get_state())


def test_the_kernel_stays_within_the_order():
    memory = np.full(1200, -1)
    state = np.zeros(kernels.N + 3, np.uint32)
    state[: kernels.N] = RandomState(0).get_state()[1]
    state[kernels.N :] = kernels.N, 77, 78
    order = memory[100:1100]
    order[:] = np.arange(1000)
    kernels.shuffle(order, len(order) - 1, 0, state[: kernels.N + 1])
    assert_array_equal(np.sort(order), np.arange(1000))
    assert (memory[:100] == -1).all()
    assert (memory[1100:] == -1).all()
    assert state[kernels.N + 1 :].tolist() == [77, 78]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_fit_is_the_same_with_either_shuffle(monkeypatch):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(2500, 3)), rng.integers(2, size=2500)
    found = []
    for most in (shuffling.MOST, 0):
        monkeypatch.setattr(shuffling, "MOST", most)
        random_state = RandomState(0)
        clf = BackpropClassifier((4,), max_iter=3, random_state=random_state).fit(X, y)
        found.append([*clf.coefs_, *clf.intercepts_, random_state.get_state()[1]])
    for a, b in zip(*found, strict=True):
        assert_array_equal(a, b)
