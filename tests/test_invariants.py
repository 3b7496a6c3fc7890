"""What must not change a fit or a prediction, mostly to the last bit: threads, layout, batch, depth, repetition."""

import importlib
import pkgutil
from typing import Any

import numba
import numpy as np
import pytest
from joblib import Parallel, delayed
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_iris, make_classification, make_multilabel_classification
from sklearn.preprocessing import StandardScaler

import fastbp.kernels
from fastbp import BackpropClassifier, threads
from fastbp.kernels import backprop

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SOLVERS: dict[str, dict[str, Any]] = {
    "gd": {"solver": "gd", "learning_rate_init": 0.1},
    "sgd": {"solver": "sgd", "learning_rate_init": 0.05},
    "adam": {"solver": "adam", "learning_rate_init": 0.01},
    "lbfgs": {"solver": "lbfgs"},
}
DTYPES = ["float32", "float64"]


def problem(n_samples: int = 200, n_features: int = 10, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    X, y = make_classification(
        n_samples, n_features, n_informative=6, n_classes=3, n_clusters_per_class=1, random_state=seed
    )
    return StandardScaler().fit_transform(X), y


def network(**params) -> BackpropClassifier:
    return BackpropClassifier(**{"hidden_layer_sizes": (12, 7), "max_iter": 6, "random_state": 0, **params})


def assert_same_bits(clf: BackpropClassifier, other: BackpropClassifier, where: str = "") -> None:
    for a, b in zip(clf.coefs_ + clf.intercepts_, other.coefs_ + other.intercepts_, strict=True):
        assert a.dtype == b.dtype
        assert_array_equal(a, b, err_msg=where)
    assert clf.loss_ == other.loss_, where


@pytest.fixture
def parallel_calls(monkeypatch) -> list[str]:
    """Names of the parallel kernels called since, with all work declared worth the threads."""
    if numba.get_num_threads() < 2:
        pytest.skip("one thread: the parallel kernels are never used")
    if numba.threading_layer() == "workqueue":
        pytest.skip("workqueue threading layer: the parallel kernels are never used, it aborts when two threads launch")
    monkeypatch.setattr(threads, "MIN_WORK", 0)
    calls: list[str] = []

    class Spy:
        def __init__(self, name, kernel):
            self.name, self.kernel, self.py_func = name, kernel, kernel.py_func

        def __call__(self, *args):
            calls.append(self.name)
            return self.kernel(*args)

        @property
        def signatures(self):
            return self.kernel.signatures

    for name in [name for name in vars(backprop) if name.endswith("_parallel")]:
        monkeypatch.setattr(backprop, name, Spy(name, getattr(backprop, name)))
    return calls


def compiled() -> dict[str, int]:
    """Number of signatures of each dispatcher of fastbp."""
    modules = [
        importlib.import_module(found.name)
        for found in pkgutil.iter_modules(fastbp.kernels.__path__, "fastbp.kernels.")
    ]
    return {
        f"{module.__name__}.{name}": len(value.signatures)
        for module in modules
        for name, value in vars(module).items()
        if hasattr(value, "py_func") and hasattr(value, "signatures")
    }


class TestThreads:
    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("solver", SOLVERS)
    def test_weights_have_the_same_bits_on_one_thread_and_two(self, solver, dtype, parallel_calls):
        X, y = problem(n_samples=1500)
        clf = network(dtype=dtype, batch_size=300, **SOLVERS[solver])
        serial = clone(clf).set_params(n_jobs=1).fit(X, y)
        assert not parallel_calls
        parallel = clone(clf).set_params(n_jobs=2).fit(X, y)
        assert any(not name.startswith("predict") for name in parallel_calls)
        assert_same_bits(serial, parallel)

    @pytest.mark.parametrize("dtype", DTYPES)
    def test_predictions_have_the_same_bits_on_one_thread_and_two(self, dtype, parallel_calls):
        X, y = problem(n_samples=1500)
        clf = network(dtype=dtype, n_jobs=1).fit(X, y)
        serial = clf.predict_proba(X)
        assert not parallel_calls
        parallel = clf.set_params(n_jobs=2).predict_proba(X)
        assert parallel_calls == ["predict_parallel"]
        assert_array_equal(serial, parallel)

    @pytest.mark.parametrize("option", ["sample_weight", "multilabel", "early_stopping", "partial_fit", "sparse"])
    def test_bits_do_not_depend_on_threads_with(self, option, parallel_calls):
        X, y = problem(n_samples=600)
        clf = network(batch_size=100, early_stopping=option == "early_stopping")
        weight = np.random.default_rng(0).uniform(0, 2, len(y)) if option == "sample_weight" else None
        if option == "multilabel":
            y = np.column_stack([y == 0, y != 1])
        if option == "sparse":
            X = sparse.csr_array(np.where(X > 0, X, 0.0))
        fitted = []
        for n_jobs in (1, 2):
            clf = clone(clf).set_params(n_jobs=n_jobs)
            if option == "partial_fit":
                fitted.append(clf.partial_fit(X, y, classes=[0, 1, 2]).partial_fit(X[:150], y[:150]))
            else:
                fitted.append(clf.fit(X, y, sample_weight=weight))
        assert parallel_calls
        assert_same_bits(*fitted)

    def test_little_work_is_serial_whatever_n_jobs(self, parallel_calls, monkeypatch):
        monkeypatch.setattr(threads, "MIN_WORK", np.inf)
        X, y = problem()
        network(n_jobs=-1).fit(X, y).predict(X)
        network().fit(X, y).predict(X)
        assert not parallel_calls

    @pytest.mark.parametrize("solver", SOLVERS)
    def test_fits_in_threads_of_joblib_have_the_bits_of_fits_in_turn(self, solver):
        X, y = problem(n_samples=400)
        clfs = [network(random_state=seed, **SOLVERS[solver]) for seed in range(4)]
        together = Parallel(n_jobs=2, prefer="threads")(delayed(clone(clf).fit)(X, y) for clf in clfs)
        for clf, other in zip(clfs, together, strict=True):
            assert_same_bits(clf.fit(X, y), other)

    def test_number_of_threads_of_numba_is_left_as_it_was(self, parallel_calls):
        before = numba.get_num_threads()
        X, y = problem()
        network(n_jobs=2).fit(X, y).predict(X)
        assert numba.get_num_threads() == before


class TestCompilation:
    @pytest.mark.parametrize("solver", SOLVERS)
    def test_depths_0_to_5_compile_nothing_new(self, solver):
        X, y = problem()
        clf = network(n_jobs=1, **SOLVERS[solver])
        counts = []
        for depth in range(6):
            clone(clf).set_params(hidden_layer_sizes=(5,) * depth).fit(X, y).predict(X)
            counts.append((len(backprop.train_serial.signatures), compiled()))
        assert all(count == counts[0] for count in counts)

    def test_depths_0_to_5_compile_nothing_new_in_parallel(self, parallel_calls):
        X, y = problem()
        serial, counts = backprop.train_serial.signatures, []
        for depth in range(6):
            network(n_jobs=2, hidden_layer_sizes=(5,) * depth).fit(X, y).predict(X)
            counts.append(compiled())
        assert set(parallel_calls) == {"train_parallel", "predict_parallel"}
        assert all(count == counts[0] for count in counts)
        assert backprop.train_serial.signatures == serial

    def test_read_only_sparse_data_compile_nothing_new(self):
        X, y = problem()
        X = sparse.csr_array(X)
        network(n_jobs=1).fit(X, y)
        before = compiled()
        for part in (X.data, X.indices, X.indptr):
            part.flags.writeable = False
        network(n_jobs=1).fit(X, y)
        assert compiled() == before

    def test_a_second_fit_compiles_nothing_whatever_its_options_and_data(self):
        X, y = problem()
        network(n_jobs=1).fit(X, y).predict_proba(X)
        before = compiled()
        assert any(before.values())
        weight = np.linspace(0, 2, len(y))
        labels = np.column_stack([y == 0, y != 1])
        network(n_jobs=1).fit(X, y).predict_proba(X)
        network(n_jobs=1, solver="sgd", momentum=0, alpha=0, shuffle=False, fit_intercept=False).fit(X, y)
        network(n_jobs=1, batch_size=1, max_iter=1, loss="squared_error", activation=["gelu", "elu"]).fit(X, labels)
        network(n_jobs=1, early_stopping=True, learning_rate="adaptive", solver="sgd").fit(X, y, sample_weight=weight)
        network(n_jobs=1, dtype="float64").fit(np.asfortranarray(X[:50, :3]), y[:50].astype(str)).predict(X[:1, :3])
        assert compiled() == before


class TestRows:
    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize(
        "params",
        [
            {"hidden_layer_sizes": ()},
            {"hidden_layer_sizes": (5,), "activation": "gelu"},
            {"hidden_layer_sizes": (17, 3), "activation": "tanh"},
            {"hidden_layer_sizes": (100,)},
            {"hidden_layer_sizes": (64, 33), "activation": "logistic", "loss": "binary_cross_entropy"},
            {"hidden_layer_sizes": (130, 16, 8), "activation": "softplus", "loss": "squared_error"},
        ],
        ids=str,
    )
    def test_a_row_has_the_same_bits_in_a_batch_of_any_size(self, params, dtype):
        X, y = problem(n_features=11)
        X = X.astype(dtype)
        clf = network(**params, max_iter=2).fit(X, y)
        whole = clf.predict_proba(X)
        assert whole.dtype == dtype
        for size in (1, 2, 3, 7, 8, 9, 64):
            for start in (0, 5, 200 - size):
                rows = slice(start, start + size)
                assert_array_equal(clf.predict_proba(X[rows]), whole[rows])
                assert_array_equal(clf.predict(X[rows]), clf.classes_[whole[rows].argmax(axis=1)])

    @pytest.mark.parametrize("dtype", DTYPES)
    def test_a_row_does_not_depend_on_the_other_rows(self, dtype):
        X, y = problem()
        X = X.astype(dtype)
        clf = network().fit(X, y)
        before = clf.predict_proba(X)
        order = np.random.default_rng(0).permutation(len(X))
        assert_array_equal(clf.predict_proba(X[order]), before[order])
        huge = X.copy()
        huge[::2] = np.finfo(dtype).max / 2  # overflows in the products
        assert_array_equal(clf.predict_proba(huge)[1::2], before[1::2])

    @pytest.mark.parametrize("dtype", DTYPES)
    def test_multilabel_rows_have_the_same_bits_in_a_batch_of_any_size(self, dtype):
        X, y = make_multilabel_classification(n_samples=100, n_features=9, n_classes=4, random_state=0)
        clf = network(dtype=dtype).fit(X, y)
        whole = clf.predict_proba(X)
        for size in (1, 3, 7, 9):
            assert_array_equal(clf.predict_proba(X[:size]), whole[:size])
            assert_array_equal(clf.predict(X[:size]), clf.predict(X)[:size])


class TestSampleWeight:
    # Smooth activations and few iterations: what is compared is the objective, not how rounding grows along the path.
    @pytest.mark.parametrize("loss", ["log_loss", "binary_cross_entropy", "squared_error", "euclidean"])
    @pytest.mark.parametrize("solver", ["gd", "lbfgs", "full-batch sgd"])
    def test_weight_k_is_the_row_k_times_and_weight_0_is_no_row(self, solver, loss):
        X, y = problem(n_samples=90)
        weight = np.random.default_rng(0).integers(0, 4, len(y))
        assert 0 in weight
        params = {"solver": solver, "learning_rate_init": 0.1}
        if solver == "full-batch sgd":
            params = {"solver": "sgd", "learning_rate_init": 0.1, "batch_size": "auto", "shuffle": False}
        clf = network(activation="tanh", loss=loss, alpha=0.5, **params)
        weighted = clone(clf).fit(X, y, sample_weight=weight)
        repeated = clone(clf).fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
        assert weighted.loss_ == pytest.approx(repeated.loss_, rel=1e-9)
        for a, b in zip(weighted.coefs_ + weighted.intercepts_, repeated.coefs_ + repeated.intercepts_, strict=True):
            assert_allclose(a, b, rtol=1e-6, atol=1e-8)

    @pytest.mark.parametrize("solver", SOLVERS)
    def test_no_weights_are_weights_of_one(self, solver):
        X, y = problem()
        clf = network(batch_size=32, **SOLVERS[solver])
        assert_same_bits(clone(clf).fit(X, y), clone(clf).fit(X, y, sample_weight=np.ones(len(y))))

    @pytest.mark.parametrize("solver", SOLVERS)
    def test_only_ratios_of_weights_matter_without_l2(self, solver):
        # a power of two, so that not even rounding differs
        X, y = problem()
        weight = np.random.default_rng(0).uniform(0, 2, len(y))
        clf = network(batch_size=32, alpha=0.0, **SOLVERS[solver])
        assert_same_bits(clone(clf).fit(X, y, sample_weight=weight), clone(clf).fit(X, y, sample_weight=8.0 * weight))


class TestInput:
    @staticmethod
    def forms(X: np.ndarray, folder) -> dict[str, Any]:
        """The same matrix in other containers and layouts."""
        readonly = X.copy()
        readonly.flags.writeable = False
        path = folder / "X.npy"
        np.save(path, X)
        wide = np.empty((2 * X.shape[0], X.shape[1] + 3), X.dtype)
        wide[::2, 1:-2] = X
        rows, columns = np.nonzero(X)
        descending = np.lexsort((-columns, rows))
        # every entry in two halves, columns descending: a CSR matrix may be neither sorted nor free of duplicates
        halves = sparse.csr_array(
            (
                np.repeat(X[rows, columns][descending] / 2, 2),
                np.repeat(columns[descending], 2),
                2 * sparse.csr_array(X).indptr,
            ),
            shape=X.shape,
        )
        wide_index = sparse.csr_array(X)
        wide_index.indptr, wide_index.indices = wide_index.indptr.astype(np.int64), wide_index.indices.astype(np.int64)
        return {
            "Fortran order": np.asfortranarray(X),
            "read-only": readonly,
            "memmap": np.load(path, mmap_mode="r"),
            "strided": wide[::2, 1:-2],
            "reversed": np.ascontiguousarray(X[::-1])[::-1],
            "byte-swapped": X.astype(X.dtype.newbyteorder()),
            "list": X.astype(float).tolist(),
            "csr_array": sparse.csr_array(X),
            "csr_matrix": sparse.csr_matrix(X),
            "csc_array": sparse.csc_array(X),
            "csr with 64-bit indices": wide_index,
            "csr unsorted and with duplicates": halves,
        }

    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("solver", SOLVERS)
    def test_layout_and_container_do_not_change_a_bit(self, solver, dtype, tmp_path):
        X, y = problem(n_samples=120)
        X = np.where(np.abs(X) > 0.8, X, 0.0).astype(dtype)
        clf = network(dtype=dtype, batch_size=50, max_iter=3, **SOLVERS[solver])
        plain = clone(clf).fit(X, y)
        proba = plain.predict_proba(X)
        for form, other in self.forms(X, tmp_path).items():
            assert_same_bits(clone(clf).fit(other, y), plain, form)
            assert_array_equal(plain.predict_proba(other), proba, err_msg=form)

    def test_integers_are_their_floats(self):
        X, y = problem()
        X = np.round(3 * X)
        plain = network().fit(X, y)
        for dtype in ("int64", "int8", "float16"):
            assert_same_bits(network().fit(X.astype(dtype), y), plain)
        assert_same_bits(network().fit(X > 0, y), network().fit((X > 0).astype(float), y))

    @pytest.mark.parametrize("solver", SOLVERS)
    def test_names_of_the_classes_do_not_matter(self, solver):
        X, y = problem()
        plain = network(**SOLVERS[solver]).fit(X, y)
        for names in (np.array(["a", "b", "c"]), np.array([-5, 0, 9]), np.array([1.0, 2.0, 3.0])):
            named = network(**SOLVERS[solver]).fit(X, names[y])
            assert_same_bits(named, plain)
            assert_array_equal(named.predict(X), names[plain.predict(X)])


class TestRepetition:
    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("solver", SOLVERS)
    def test_the_same_seed_gives_the_same_bits(self, solver, dtype):
        X, y = problem()
        clf = network(dtype=dtype, batch_size=32, **SOLVERS[solver])
        first = clone(clf).fit(X, y)
        assert_same_bits(first, clone(clf).fit(X, y))
        assert not np.array_equal(first.coefs_[0], clone(clf).set_params(random_state=1).fit(X, y).coefs_[0])

    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize(
        "params",
        [
            SOLVERS["adam"],
            SOLVERS["sgd"],
            {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.2},
            {"solver": "sgd", "learning_rate": "adaptive", "learning_rate_init": 0.2, "nesterovs_momentum": False},
        ],
        ids=lambda params: f"{params['solver']} {params.get('learning_rate', '')}",
    )
    def test_n_calls_of_partial_fit_are_one_fit_of_n_epochs(self, params, dtype):
        # Unshuffled: as in scikit-learn, fit shuffles the last epoch's order again, partial_fit the rows as given.
        X, y = load_iris(return_X_y=True)
        X = StandardScaler().fit_transform(X)
        clf = network(dtype=dtype, batch_size=32, shuffle=False, tol=0.0, n_iter_no_change=1000, **params)
        whole = clone(clf).set_params(random_state=np.random.RandomState(4), max_iter=8).fit(X, y)
        steps = clone(clf).set_params(random_state=np.random.RandomState(4))
        for _ in range(8):
            steps.partial_fit(X, y, classes=[0, 1, 2])
        assert_same_bits(steps, whole)
        assert steps.loss_curve_ == whole.loss_curve_
        assert steps.t_ == whole.t_

    @pytest.mark.parametrize("solver", ["sgd", "adam"])
    def test_n_calls_of_partial_fit_draw_the_random_numbers_of_one_fit(self, solver):
        X, y = load_iris(return_X_y=True)
        X = StandardScaler().fit_transform(X)
        clf = network(activation="tanh", tol=0.0, n_iter_no_change=1000, **SOLVERS[solver])
        streams = [np.random.RandomState(4), np.random.RandomState(4)]
        whole = clone(clf).set_params(random_state=streams[0], max_iter=8).fit(X, y)
        steps = clone(clf).set_params(random_state=streams[1])
        for _ in range(8):
            steps.partial_fit(X, y, classes=[0, 1, 2])
        assert streams[0].randint(2**31) == streams[1].randint(2**31)
        # one batch an epoch: the order of the rows in it is rounding only
        assert_allclose(steps.loss_curve_, whole.loss_curve_, rtol=1e-10)
        assert_allclose(steps.coefs_[0], whole.coefs_[0], rtol=1e-8, atol=1e-10)
