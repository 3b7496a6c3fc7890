"""What must not change a fit or a prediction, mostly to the last bit: threads, layout, batch, depth, repetition."""

import importlib
import pkgutil
import tracemalloc
from typing import Any

import numba
import numpy as np
import pytest
import reference
from joblib import Parallel, delayed
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_iris, make_classification, make_multilabel_classification
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_sample_weight

import fastbp.kernels
from fastbp import BackpropClassifier, BackpropRegressor
from fastbp.data import examples as data
from fastbp.kernels import backprop
from fastbp.network.architecture import Network
from fastbp.parallel import team as threads
from fastbp.training.trainer import Trainer

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


def regression_problem(n_samples: int = 200, n_features: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Three outputs, all of them above zero."""
    X, _ = problem(n_samples, n_features)
    noise = np.random.default_rng(0).uniform(0, 0.2, (n_samples, 3))
    return X, np.exp(X[:, :3] / 2) + np.abs(X[:, 3:4]) + noise


def regression_network(**params) -> BackpropRegressor:
    return BackpropRegressor(**{"hidden_layer_sizes": (12, 7), "max_iter": 6, "random_state": 0, **params})


# of each estimator: a network and its problem
KINDS = {"classifier": (network, problem), "regressor": (regression_network, regression_problem)}


def assert_same_bits(clf: Any, other: Any, where: str = "") -> None:
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
        # what a network has to have for a kernel of its own to be compiled, and the path of one row
        network(n_jobs=1, max_iter=1, loss="squared_error", activation=["gelu", "elu"]).fit(X, y).predict(X[:1])
        network(n_jobs=1, max_iter=1, solver="sgd").fit(X, y)
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
            {"hidden_layer_sizes": (130, 2), "activation": "gelu"},
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
    @pytest.mark.parametrize(
        ("kind", "loss"),
        [
            ("classifier", "log_loss"),
            ("classifier", "binary_cross_entropy"),
            ("classifier", "squared_error"),
            ("classifier", "euclidean"),
            ("regressor", "squared_error"),
            ("regressor", "poisson"),
            ("regressor", "euclidean"),
        ],
    )
    @pytest.mark.parametrize("solver", ["gd", "lbfgs", "full-batch sgd", "full-batch adam"])
    def test_weight_k_is_the_row_k_times_and_weight_0_is_no_row(self, solver, kind, loss):
        make, load = KINDS[kind]
        X, y = load(n_samples=90)
        weight = np.random.default_rng(0).integers(0, 4, len(y))
        assert 0 in weight
        params: dict[str, Any] = {"solver": solver.split()[-1], "learning_rate_init": 0.02, "shuffle": False}
        estimator = make(activation="tanh", loss=loss, alpha=0.5, **params)
        weighted = clone(estimator).fit(X, y, sample_weight=weight)
        repeated = clone(estimator).fit(np.repeat(X, weight, axis=0), np.repeat(y, weight, axis=0))
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
        with_zeros = sparse.csr_array(np.where(X == 0, 1, X))
        with_zeros.data[(X == 0).ravel()] = 0
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
            "csc_matrix": sparse.csc_matrix(X),
            "csr with explicit zeros": with_zeros,
            "csr with 64-bit indices": wide_index,
            "csr unsorted and with duplicates": halves,
        }

    @pytest.mark.parametrize(
        ("kind", "dtype"), [("classifier", "float32"), ("classifier", "float64"), ("regressor", "float64")]
    )
    @pytest.mark.parametrize("solver", SOLVERS)
    def test_layout_and_container_do_not_change_a_bit(self, solver, kind, dtype, tmp_path):
        make, load = KINDS[kind]
        X, y = load(n_samples=120)
        X = np.where(np.abs(X) > 0.8, X, 0.0).astype(dtype)
        X[[0, 60, -1]], X[:, [4, -1]] = 0, 0  # empty rows and columns
        params = {**SOLVERS[solver], "learning_rate_init": 0.01}
        estimator = make(dtype=dtype, batch_size=50, max_iter=3, **params)
        plain = clone(estimator).fit(X, y)
        outputs = plain.predict_proba if kind == "classifier" else plain.predict
        expected = outputs(X)
        for form, other in self.forms(X, tmp_path).items():
            assert_same_bits(clone(estimator).fit(other, y), plain, form)
            assert_array_equal(outputs(other), expected, err_msg=form)

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("solver", SOLVERS)
    def test_a_sparse_matrix_without_entries_is_one_of_zeros(self, solver, kind):
        make, load = KINDS[kind]
        X, y = load(n_samples=60)
        estimator = make(**{**SOLVERS[solver], "learning_rate_init": 0.01})
        plain = clone(estimator).fit(np.zeros_like(X), y)
        empty = sparse.csr_array(X.shape)
        assert_same_bits(clone(estimator).fit(empty, y), plain)
        assert_array_equal(plain.predict(empty), plain.predict(np.zeros_like(X)))
        assert_array_equal(plain.predict(X), plain.predict(sparse.csr_array(X)))

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


class TestWideSparse:
    """Text-like data: many features, few entries. Nothing has the size of rows times features."""

    N, N_FEATURES = 300, 200_000

    def text(self, n_features: int = N_FEATURES) -> sparse.csr_array:
        """0.1 % of N x N_FEATURES entries, the columns spread over n_features."""
        per_row = self.N_FEATURES // 1000
        rng = np.random.default_rng(0)
        rows = np.repeat(np.arange(self.N), per_row)
        columns = rng.permutation(np.tile(np.arange(self.N_FEATURES // 4), 2))[: len(rows)] * 4
        X = sparse.csr_array((rng.uniform(0.5, 1, len(rows)), (rows, columns)), (self.N, n_features))
        X.sum_duplicates()
        return X

    @pytest.mark.parametrize("batch", [50, 300])
    def test_buffers_are_of_the_size_of_the_entries_of_a_batch(self, batch):
        sizes = []
        for n_features in (self.N_FEATURES, 4 * self.N_FEATURES):
            X = self.text(n_features)
            shape = Network((n_features, 8, 1), ("tanh", "logistic"), "log_loss", np.dtype("float64"))
            examples = data.as_examples(X, shape.dtype, codes=np.arange(self.N) % 2)
            assert np.shares_memory(examples.X64, X.data)  # not even the entries are copied
            with threads.team(1, 1) as team:
                trainer = Trainer(shape, np.zeros(shape.size), examples, batch=batch, team=team)
            sizes.append(trainer.a.size)
            assert trainer.z.size < 2 * 8 * (batch + 64)
        # a_0, the entries, and two layers of 8 and 1 units, which are padded
        most = batch * self.N_FEATURES // 1000
        assert sizes[0] == sizes[1] < 16 + most + 2 * 8 * (batch + 64)

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("solver", ["gd", "sgd", "adam"])  # L-BFGS keeps twenty vectors of all parameters
    def test_memory_of_a_fit_is_that_of_parameters_and_entries(self, solver, kind):
        X = self.text()
        y = np.asarray(X[:, ::8].sum(axis=1)).ravel()
        y = (y > np.median(y)).astype(int) if kind == "classifier" else y
        estimator = KINDS[kind][0](hidden_layer_sizes=(8,), max_iter=2, n_jobs=1, **SOLVERS[solver])
        tracemalloc.start()
        try:
            estimator.fit(X, y).predict(X)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        parameters = 8 * estimator.coefs_[0].size
        assert peak < 10 * parameters + 100 * 8 * X.nnz
        assert peak < 8 * self.N * self.N_FEATURES / 3  # of X made dense


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

    @pytest.mark.parametrize("solver", ["sgd", "adam"])
    @pytest.mark.parametrize("loss", ["squared_error", "poisson"])
    def test_n_calls_of_partial_fit_are_one_fit_of_n_epochs_of_a_regressor(self, loss, solver):
        X, y = regression_problem()
        params = {"solver": solver, "learning_rate_init": 0.01, "n_iter_no_change": 1000}
        reg = regression_network(loss=loss, batch_size=32, shuffle=False, **params)
        whole = clone(reg).set_params(random_state=np.random.RandomState(4), max_iter=8).fit(X, y)
        steps = clone(reg).set_params(random_state=np.random.RandomState(4))
        for _ in range(8):
            steps.partial_fit(X, y)
        assert_same_bits(steps, whole)
        assert steps.loss_curve_ == whole.loss_curve_


class TestValidationSet:
    """X_val, y_val and sample_weight_val."""

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("solver", ["sgd", "adam"])
    @pytest.mark.parametrize("weighted", [False, True])
    def test_the_rows_of_the_split_give_the_training_of_the_split(self, weighted, solver, kind):
        make, load = KINDS[kind]
        X, y = load()
        weight = np.random.default_rng(1).uniform(0.5, 2, len(y)) if weighted else None
        params = {"solver": solver, "learning_rate_init": 0.01, "max_iter": 40, "n_iter_no_change": 3, "tol": 0.02}
        estimator = make(early_stopping=True, validation_fraction=0.25, shuffle=False, batch_size=32, **params)
        split = clone(estimator).fit(X, y, sample_weight=weight)

        state = np.random.RandomState(0)
        state.uniform(size=sum(array.size for array in split.coefs_ + split.intercepts_))  # the initial weights
        rows, rows_val = train_test_split(np.arange(len(y)), random_state=state, test_size=0.25)
        weights = {"sample_weight": weight[rows], "sample_weight_val": weight[rows_val]} if weighted else {}
        given = clone(estimator).fit(X[rows], y[rows], X_val=X[rows_val], y_val=y[rows_val], **weights)
        assert 3 < split.n_iter_ < 40
        assert_same_bits(given, split)
        assert given.n_iter_ == split.n_iter_
        assert given.validation_scores_ == split.validation_scores_
        assert given.validation_loss_curve_ == split.validation_loss_curve_
        assert given.best_validation_score_ == split.best_validation_score_
        assert given.converged_
        assert split.converged_

    @pytest.mark.parametrize("kind", KINDS)
    def test_without_early_stopping_it_is_recorded_and_changes_nothing(self, kind):
        make, load = KINDS[kind]
        X, y = load()
        plain = make().fit(X, y)
        given = make().fit(X, y, X_val=X[:30], y_val=y[:30])
        assert_same_bits(given, plain)
        assert given.loss_curve_ == plain.loss_curve_
        assert given.best_loss_ == plain.best_loss_
        assert len(given.validation_scores_) == len(given.validation_loss_curve_) == given.n_iter_
        assert given.best_validation_score_ == max(given.validation_scores_)
        assert plain.validation_scores_ is plain.validation_loss_curve_ is plain.best_validation_score_ is None

    @pytest.mark.parametrize("weighted", [False, True])
    @pytest.mark.parametrize(
        ("kind", "loss", "out_activation"),
        [
            ("multiclass", "log_loss", "softmax"),
            ("binary", "log_loss", "logistic"),
            ("multilabel", "binary_cross_entropy", "logistic"),
            ("multiclass", "euclidean", "tanh"),
            ("numbers", "squared_error", "identity"),
            ("numbers", "poisson", "exp"),
        ],
    )
    def test_its_loss_is_the_mean_cost_without_l2_and_its_score_that_of_the_weights(
        self, kind, loss, out_activation, weighted
    ):
        if kind == "numbers":
            make, (X, y) = regression_network, regression_problem()
            Y = y
        else:
            make, (X, y) = network, problem()
            y = {"multiclass": y, "binary": y == 1, "multilabel": np.column_stack([y == 0, y != 1])}[kind].astype(int)
            Y = {"multiclass": np.eye(3)[y], "binary": y[:, np.newaxis]}[kind] if y.ndim == 1 else y
        train, val = slice(0, 150), slice(150, None)
        weight = np.random.default_rng(1).uniform(0, 2, 50) if weighted else None
        params = {"loss": loss, "out_activation": out_activation, "activation": "tanh", "alpha": 1.0}
        losses, scores = [], []
        for epochs in (1, 2, 3):
            fitted = make(max_iter=epochs, **params)
            fitted.fit(X[train], y[train], X_val=X[val], y_val=y[val], sample_weight_val=weight)
            cost, _, _ = reference.loss_and_gradient(
                X[val],
                Y[val].astype(float),
                fitted.coefs_,
                fitted.intercepts_,
                activation="tanh",
                out_activation=out_activation,
                loss=loss,
                sample_weight=weight,
            )
            losses.append(cost)
            scores.append(fitted.score(X[val], y[val], sample_weight=weight))
        assert_allclose(fitted.validation_loss_curve_, losses, rtol=1e-12)
        assert_allclose(fitted.validation_scores_, scores, rtol=1e-12)

    @pytest.mark.parametrize("container", [sparse.csr_array, np.asfortranarray, np.ndarray.tolist])
    def test_its_container_does_not_matter(self, container):
        X, y = problem()
        X_val, y_val = X[:40], y[:40]
        clf = network(early_stopping=True)
        plain = clone(clf).fit(X, y, X_val=X_val, y_val=y_val)
        other = clone(clf).fit(X, y, X_val=container(X_val), y_val=y_val.tolist())
        assert_same_bits(other, plain)
        assert other.validation_loss_curve_ == plain.validation_loss_curve_

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("solver", ["sgd", "adam"])
    def test_partial_fit_stops_early_as_fit_does(self, solver, kind):
        make, load = KINDS[kind]
        X, y = load()
        X_val, y_val = X[150:], y[150:]
        # tol 0: the last scores are below the best one
        params = {"solver": solver, "learning_rate_init": 0.05, "n_iter_no_change": 3, "tol": 0.0, "max_iter": 300}
        estimator = make(early_stopping=True, shuffle=False, batch_size=32, **params)
        whole = clone(estimator).fit(X[:150], y[:150], X_val=X_val, y_val=y_val)
        assert whole.converged_
        steps, classes = clone(estimator), {"classes": [0, 1, 2]} if kind == "classifier" else {}
        for call in range(1, whole.n_iter_ + 1):
            steps.partial_fit(X[:150], y[:150], X_val=X_val, y_val=y_val, **classes)
            assert steps.converged_ == (call == whole.n_iter_)
            # until then it keeps the weights that it has just trained
            expected = max(steps.validation_scores_) if steps.converged_ else steps.validation_scores_[-1]
            assert steps.score(X_val, y_val) == pytest.approx(expected, rel=1e-12)
        assert_same_bits(steps, whole)
        assert steps.validation_scores_ == whole.validation_scores_
        assert steps.validation_loss_curve_ == whole.validation_loss_curve_
        assert steps.validation_scores_[-1] < max(steps.validation_scores_)

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("method", ["fit", "partial_fit"])
    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ({"X_val": True}, "X_val is provided, but y_val was not provided"),
            ({"y_val": True}, "y_val is provided, but X_val was not provided"),
            ({"weight": True}, "sample_weight_val is provided, but X_val and y_val were not provided"),
        ],
        ids=str,
    )
    def test_half_of_one_is_refused(self, given, message, method, kind):
        make, load = KINDS[kind]
        X, y = load()
        values = {"X_val": X[:30], "y_val": y[:30], "weight": np.ones(30)}
        given = {name.replace("weight", "sample_weight_val"): values[name] for name in given}
        if kind == "classifier" and method == "partial_fit":
            given["classes"] = [0, 1, 2]
        with pytest.raises(ValueError, match=message):
            getattr(make(), method)(X, y, **given)

    @pytest.mark.parametrize("kind", KINDS)
    def test_one_that_does_not_go_with_the_training_set_is_refused(self, kind):
        make, load = KINDS[kind]
        X, y = load()
        X_val, y_val = X[:30], y[:30]
        for bad, message in (
            ({"X_val": X_val[:, :4]}, "X has 4 features, but Backprop.* is expecting 10 features"),
            ({"y_val": y_val[:-1]}, r"inconsistent numbers of samples: \[30, 29\]"),
            ({"X_val": X_val[:1], "y_val": y_val[:1]}, "validation set is too small. X_val has 1 rows"),
            ({"X_val": np.full_like(X_val, np.nan)}, "Input X contains NaN"),
            ({"sample_weight_val": np.ones(3)}, r"sample_weight.shape == \(3,\), expected \(30,\)"),
            ({"sample_weight_val": np.zeros(30)}, r"(?i)sample.weight"),
            ({"y_val": np.column_stack([y_val, y_val]) > 0}, r"y_val has shape \(30, \d\)"),
        ):
            with pytest.raises(ValueError, match=message):
                make().fit(X, y, **{"X_val": X_val, "y_val": y_val, **bad})

    def test_classes_that_training_lacks_are_refused(self):
        X, y = problem()
        names = np.array(["a", "b", "c"])[y]
        with pytest.raises(ValueError, match=r"y_val has classes \['c'\] that the fit did not have"):
            network().fit(X[y < 2], names[y < 2], X_val=X, y_val=names)
        with pytest.raises(ValueError, match=r"y_val has classes \[3\] that the fit did not have"):
            network().partial_fit(X, y, classes=[0, 1, 2], X_val=X, y_val=y + 1)

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("solver", ["gd", "lbfgs"])
    def test_solvers_that_would_not_look_at_it_refuse_it(self, solver, kind):
        make, load = KINDS[kind]
        X, y = load()
        with pytest.raises(ValueError, match=f"solvers sgd and adam only, got solver='{solver}'"):
            make(solver=solver).fit(X, y, X_val=X, y_val=y)

    @pytest.mark.parametrize("kind", KINDS)
    def test_partial_fit_with_early_stopping_needs_it(self, kind):
        make, load = KINDS[kind]
        X, y = load()
        classes = {"classes": [0, 1, 2]} if kind == "classifier" else {}
        with pytest.raises(ValueError, match=r"partial_fit does not support early_stopping=True.*Pass X_val and y_val"):
            make(early_stopping=True).partial_fit(X, y, **classes)


class TestClassWeight:
    NAMES = np.array(["ham", "spam", "toast"])
    FACTORS = np.array([0.5, 2.0, 3.25])

    def unbalanced(self) -> tuple[np.ndarray, np.ndarray]:
        X, y = problem(n_samples=300)
        kept = np.random.default_rng(0).random(300) < np.array([0.1, 0.4, 0.9])[y]
        return X[kept], y[kept]

    @pytest.mark.parametrize("solver", SOLVERS)
    @pytest.mark.parametrize("weighted", [False, True])
    def test_is_the_sample_weight_of_each_class(self, weighted, solver):
        X, y = problem()
        weight = np.random.default_rng(1).uniform(0.5, 2, len(y)) if weighted else np.ones(len(y))
        class_weight = dict(zip(self.NAMES, self.FACTORS, strict=True))
        clf = network(batch_size=32, **SOLVERS[solver])
        by_class = clone(clf).set_params(class_weight=class_weight)
        by_class.fit(X, self.NAMES[y], sample_weight=weight if weighted else None)
        assert_same_bits(by_class, clone(clf).fit(X, self.NAMES[y], sample_weight=weight * self.FACTORS[y]))

    @pytest.mark.parametrize("kind", ["binary", "multiclass"])
    @pytest.mark.parametrize("loss", ["log_loss", "squared_error"])
    def test_balanced_is_n_by_the_number_of_classes_and_their_counts(self, loss, kind):
        X, y = self.unbalanced()
        y = np.minimum(y, 1) if kind == "binary" else y
        counts = np.bincount(y)
        balanced = network(class_weight="balanced", loss=loss).fit(X, y)
        assert_same_bits(balanced, network(loss=loss).fit(X, y, sample_weight=(len(y) / (len(counts) * counts))[y]))

    def test_balanced_finds_more_of_a_rare_class(self):
        X, y = self.unbalanced()
        y = np.minimum(y, 1)
        params = {"alpha": 1.0, "solver": "lbfgs", "hidden_layer_sizes": (), "max_iter": 200}
        plain, balanced = (network(class_weight=weight, **params).fit(X, y) for weight in (None, "balanced"))
        assert (balanced.predict(X) == 0).sum() > (plain.predict(X) == 0).sum()

    def test_balanced_weighs_a_validation_set_by_the_counts_of_y(self):
        X, y = self.unbalanced()
        counts = np.bincount(y)
        weight = len(y) / (len(counts) * counts)
        X_val, y_val = X[::3], y[::3]
        assert not np.allclose(np.bincount(y_val) / len(y_val), counts / len(y))
        balanced = network(class_weight="balanced").fit(X, y, X_val=X_val, y_val=y_val)
        given = {"X_val": X_val, "y_val": y_val, "sample_weight_val": weight[y_val]}
        by_hand = network().fit(X, y, sample_weight=weight[y], **given)
        assert_same_bits(balanced, by_hand)
        assert balanced.validation_scores_ == by_hand.validation_scores_
        assert balanced.validation_loss_curve_ == by_hand.validation_loss_curve_

    def test_balanced_of_a_multilabel_target_counts_each_output(self):
        X, y = problem()
        labels = np.column_stack([y == 0, y != 1]).astype(int)
        weight = compute_sample_weight("balanced", labels)
        assert_same_bits(
            network(class_weight="balanced").fit(X, labels), network().fit(X, labels, sample_weight=weight)
        )

    def test_of_a_multilabel_target_is_the_product_over_its_outputs(self):
        X, y = problem()
        labels = np.column_stack([y == 0, y != 1]).astype(int)
        clf = network(class_weight=[{0: 1.0, 1: 3.0}, {0: 2.0, 1: 0.5}]).fit(X, labels)
        weight = np.where(labels[:, 0], 3.0, 1.0) * np.where(labels[:, 1], 0.5, 2.0)
        assert_same_bits(clf, network().fit(X, labels, sample_weight=weight))

    def test_holds_for_the_part_that_early_stopping_sets_aside(self):
        X, y = problem()
        clf = network(early_stopping=True, validation_fraction=0.3)
        by_class = clone(clf).set_params(class_weight=dict(enumerate(self.FACTORS))).fit(X, y)
        by_row = clone(clf).fit(X, y, sample_weight=self.FACTORS[y])
        assert_same_bits(by_class, by_row)
        assert by_class.validation_scores_ == by_row.validation_scores_

    def test_holds_for_a_validation_set(self):
        X, y = problem()
        given = {"X_val": X[:50], "y_val": y[:50]}
        by_class = network(class_weight=dict(enumerate(self.FACTORS))).fit(X, y, **given)
        by_row = network().fit(X, y, sample_weight=self.FACTORS[y], sample_weight_val=self.FACTORS[y[:50]], **given)
        assert_same_bits(by_class, by_row)
        assert by_class.validation_scores_ == by_row.validation_scores_
        assert by_class.validation_loss_curve_ == by_row.validation_loss_curve_

    @pytest.mark.parametrize("solver", ["sgd", "adam"])
    def test_holds_in_partial_fit_which_may_lack_a_class(self, solver):
        X, y = problem()
        clf = network(**SOLVERS[solver])
        by_class = clone(clf).set_params(class_weight=dict(enumerate(self.FACTORS)))
        for rows in (y < 2, y > 0, y < 3):
            by_class.partial_fit(X[rows], y[rows], classes=[0, 1, 2])
            clf.partial_fit(X[rows], y[rows], sample_weight=self.FACTORS[y[rows]], classes=[0, 1, 2])
            assert_same_bits(by_class, clf)

    def test_balanced_is_refused_by_partial_fit(self):
        X, y = problem()
        with pytest.raises(ValueError, match=r"class_weight='balanced' is not supported by partial_fit.*as a dict"):
            network(class_weight="balanced").partial_fit(X, y, classes=[0, 1, 2])

    @pytest.mark.parametrize("factor", [-1.0, np.nan, np.inf])
    def test_factors_below_zero_or_not_finite_are_refused(self, factor):
        X, y = problem()
        with pytest.raises(ValueError, match=r"class_weight must be finite and >= 0, got \{1: (-1.0|nan|inf)\}"):
            network(class_weight={1: factor}).fit(X, y)

    @pytest.mark.parametrize("value", ["unbalanced", 2.0, [1.0, 2.0, 3.0], [{0: 2.0}]])
    def test_anything_but_a_dict_or_balanced_is_refused(self, value):
        X, y = problem()
        with pytest.raises((ValueError, TypeError), match="class_weight") as error:
            network(class_weight=value).fit(X, y)
        assert str(value) in str(error.value)

    @pytest.mark.parametrize("value", [{0: 1.0, 1: 2.0}, [1.0, 2.0], [{0: 1.0, 1: 2.0}]])
    def test_a_multilabel_target_takes_one_dict_per_output(self, value):
        X, y = problem()
        with pytest.raises(ValueError, match=r"class_weight") as error:
            network(class_weight=value).fit(X, np.column_stack([y == 0, y != 1]))
        assert f"a list of 2 dicts, one per output, or 'balanced', got {value}" in str(error.value)

    def test_a_class_that_y_lacks_is_refused(self):
        X, y = problem()
        with pytest.raises(ValueError, match="not in class_weight"):
            network(class_weight={0: 1.0, 3: 1.0}).fit(X, y)
