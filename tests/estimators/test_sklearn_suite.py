"""The installed scikit-learn's own tests of its MLP, run on BackpropClassifier and BackpropRegressor."""

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.neural_network

IMPORT = "from sklearn.neural_network import MLPClassifier, MLPRegressor"
OURS = "from fastbp import BackpropClassifier as MLPClassifier, BackpropRegressor as MLPRegressor"

# PRIVATE: tests that cannot pass, each with the private name of scikit-learn's MLP that it touches. Some versions of
# scikit-learn lack some of these tests.
PRIVATE = {
    "test_fit": "_no_improvement_count",  # partial_fit goes on from a fitted estimator that is made by hand
    "test_gradient": "_loss_grad_lbfgs",
    "test_learning_rate_warmstart": "_optimizer",
    "test_adaptive_learning_rate": "_optimizer",
    "test_n_iter_no_change": "_no_improvement_count",
    "test_n_iter_no_change_inf": "_no_improvement_count",
}

# These tests were not written for warnings as errors.
pytestmark = pytest.mark.filterwarnings("default")


def suite() -> dict[str, Callable[..., None]]:
    """{name: test} of the file, with our estimators for scikit-learn's."""
    path = Path(inspect.getfile(sklearn.neural_network)).parent / "tests" / "test_mlp.py"
    source = path.read_text(encoding="utf-8")
    assert source.count(IMPORT) == 1
    namespace: dict[str, Any] = {"__name__": __name__}
    exec(compile(source.replace(IMPORT, OURS), str(path), "exec"), namespace)
    return {name: value for name, value in namespace.items() if name.startswith("test_")}


def touching(test: Callable[..., None], private: str) -> Callable[..., None]:
    """A test that checks that `test` contains the private name and fails because we lack it."""

    @functools.wraps(test)
    def fails(*args: Any, **kwargs: Any) -> None:
        assert f".{private}" in inspect.getsource(test)
        with pytest.raises(AttributeError):
            test(*args, **kwargs)

    return fails


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Many of the estimators have no random_state, so they draw from the global generator."""
    np.random.seed(0)  # noqa: NPY002, the global stream is the subject


@pytest.fixture
def global_random_seed() -> int:
    """scikit-learn's fixture, with its default."""
    return 42


SUITE = suite()
globals().update({name: touching(test, PRIVATE[name]) if name in PRIVATE else test for name, test in SUITE.items()})


def test_the_file_was_read():
    assert len(SUITE) > 40
    assert SUITE["test_alpha"].__globals__["MLPClassifier"].__module__.startswith("fastbp")
    assert SUITE["test_alpha"].__globals__["MLPRegressor"].__module__.startswith("fastbp")
