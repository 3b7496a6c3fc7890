"""Threads, layout, batch, depth and repetition do not change a fit or a prediction, mostly to the last bit."""

import importlib
import pkgutil
import tracemalloc
from typing import Any

import numba
import numpy as np
import pytest
from joblib import Parallel, delayed
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_iris, make_multilabel_classification
from sklearn.preprocessing import StandardScaler

import fastbp.kernels
from fastbp.data.examples import as_examples
from fastbp.kernels import step
from fastbp.network.architecture import Network
from fastbp.parallel import team
from fastbp.training.trainer import Trainer
from support.entries import ENTRIES, entry, is_parallel
from support.networks import (
    DTYPES,
    KINDS,
    SOLVERS,
    assert_same_bits,
    network,
    problem,
    regression_network,
    regression_problem,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture
def parallel_calls(monkeypatch) -> list[str]:
    """The names of the kernels that are called with several threads. All work is declared worth the threads."""
    if team.upper_bound(None) < 2:
        pytest.skip("one thread: no call is parallel")
    monkeypatch.setattr(team, "MIN_WORK", 0)
    calls: list[str] = []

    class Spy:
        def __init__(self, name, kernel):
            self.name, self.kernel, self.py_func = name, kernel, kernel.py_func

        def __call__(self, *args):
            if is_parallel(args):
                calls.append(self.name)
            return self.kernel(*args)

        @property
        def signatures(self):
            return self.kernel.signatures

    for name in ("train", "train_with_extras", "predict"):
        monkeypatch.setattr(ENTRIES[name], name, Spy(name, entry(name)))
    return calls


def compiled() -> dict[str, int]:
    """Number of signatures of each dispatcher of fastbp."""
    modules = [
        importlib.import_module(found.name)
        for found in pkgutil.walk_packages(fastbp.kernels.__path__, "fastbp.kernels.")
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
        assert parallel_calls == ["predict"]
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
        monkeypatch.setattr(team, "MIN_WORK", np.inf)
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
            counts.append((len(step.train.signatures), compiled()))
        assert all(count == counts[0] for count in counts)

    def test_depths_0_to_5_compile_nothing_new_in_parallel(self, parallel_calls):
        X, y = problem()
        network(n_jobs=1).fit(X, y).predict(X)
        counts = [compiled()]
        for depth in range(6):
            network(n_jobs=2, hidden_layer_sizes=(5,) * depth).fit(X, y).predict(X)
            counts.append(compiled())
        assert set(parallel_calls) == {"train", "predict"}
        assert all(count == counts[0] for count in counts)

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
        # options that need kernels of their own, and the path of one row
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
    # Smooth activations and few iterations, because objectives are compared, not the growth of rounding along the path.
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
        # every entry in two halves, columns descending, because a CSR matrix may be unsorted and have duplicates
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

    def test_integers_are_read_as_floats(self):
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
        """0.1 % of N x N_FEATURES entries, in every fourth of the first N_FEATURES columns."""
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
            examples = as_examples(X, shape.dtype, codes=np.arange(self.N) % 2)
            assert np.shares_memory(examples.X64, X.data)  # not even the entries are copied
            trainer = Trainer(shape, np.zeros(shape.layout.size), examples, batch=batch, team=team.team_for(1, 1))
            sizes.append(trainer.activations.a.size)
            assert trainer.activations.z.size < 2 * 8 * (batch + 64)
        # a_0 has the entries, and the two layers of 8 and 1 units are padded
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
        assert peak < 8 * self.N * self.N_FEATURES / 3  # a third of a dense X


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
        # Unshuffled, because shuffles differ, as in scikit-learn: fit shuffles the order of the last epoch again,
        # partial_fit shuffles the rows as given.
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
        # an epoch is one batch, so the order of its rows only changes rounding
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
