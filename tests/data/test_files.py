"""X may be a file larger than the memory. No array of its size is made, whatever its dtype and layout."""

import tracemalloc
import warnings

import numpy as np
import pytest
import scipy.sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from fastbp import BackpropClassifier, BackpropRegressor
from fastbp.data import examples as data
from fastbp.data.examples import ForeignExamples, as_examples
from fastbp.network import costs
from support.fits import both

F64 = np.dtype(np.float64)


@pytest.fixture(autouse=True)
def _ignored():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def mapped(X: np.ndarray, folder, name="X") -> np.ndarray:
    """X as a file, with the same dtype and order."""
    np.save(folder / f"{name}.npy", X)
    return np.load(folder / f"{name}.npy", mmap_mode="r")


def numbers(n=150, n_features=6, seed=0) -> np.ndarray:
    """Small whole numbers. Every dtype of numbers holds them."""
    return np.random.default_rng(seed).integers(0, 5, (n, n_features)).astype(float)


def problem(estimator, **kwargs):
    X = numbers(**kwargs)
    y = X[:, 0] - X[:, 1] + X[:, 2] / 4
    return X, (y > 0).astype(int) if estimator is BackpropClassifier else y


def small(estimator, **params):
    defaults = {"hidden_layer_sizes": (5,), "batch_size": 32, "max_iter": 2, "random_state": 0, "n_jobs": 1}
    return estimator(**{**defaults, **params})


def output(model, X):
    return model.predict_proba(X) if hasattr(model, "predict_proba") else model.predict(X)


def assert_same_bits(model, expected, X, X_expected):
    for name in ("coefs_", "intercepts_", "loss_curve_", "validation_scores_", "validation_loss_curve_"):
        np.testing.assert_equal(getattr(model, name), getattr(expected, name), err_msg=name)
    assert model.coefs_[0].dtype == expected.coefs_[0].dtype
    for found, wanted in zip(
        [output(model, X), model.predict(X), *model.hidden_activations(X)],
        [output(expected, X_expected), expected.predict(X_expected), *expected.hidden_activations(X_expected)],
        strict=True,
    ):
        np.testing.assert_array_equal(found, wanted)


DTYPES = ["f4", "f8", ">f4", ">f8", "f2", "i1", "u2", ">i4", "i8", "?"]
LAYOUTS = {
    "rows": lambda X, save: save(X),
    "columns": lambda X, save: save(np.asfortranarray(X)),
    "neighbouring columns": lambda X, save: save(np.hstack([X, X]))[:, 6:],
    "every other row": lambda X, save: save(np.repeat(X, 2, axis=0))[::2],
    "every other row and column": lambda X, save: save(np.repeat(np.repeat(X, 2, axis=0), 2, axis=1))[::2, ::2],
    "from the last row": lambda X, save: save(X[::-1])[::-1],
}
FITS = {
    "adam": {},
    "early stopping": {"early_stopping": True, "validation_fraction": 0.3},
    "gd": {"solver": "gd"},
    "float32": {"dtype": "float32"},
}


class TestFile:
    """A file gives the same model as the same numbers in memory, to the bit."""

    @pytest.fixture(autouse=True)
    def _many_blocks(self, monkeypatch):
        monkeypatch.setattr(data, "CONVERTED_BYTES", 40 * 6 * 8)  # the size of 40 rows

    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("fit", FITS)
    @both
    def test_of_any_dtype(self, estimator, fit, dtype, tmp_path):
        X, y = problem(estimator)
        X = X.astype(dtype)
        file = mapped(X, tmp_path)
        model, expected = (small(estimator, **FITS[fit]).fit(given, y) for given in (file, X))
        assert_same_bits(model, expected, file, X)

    @pytest.mark.parametrize("dtype", ["f4", "i2"])
    @pytest.mark.parametrize("layout", LAYOUTS)
    @both
    def test_of_any_layout(self, estimator, layout, dtype, tmp_path):
        X, y = problem(estimator)
        X = X.astype(dtype)
        file = LAYOUTS[layout](X, lambda whole: mapped(whole, tmp_path))
        np.testing.assert_array_equal(file, X)
        model, expected = (small(estimator).fit(given, y) for given in (file, X))
        assert_same_bits(model, expected, file, X)

    def test_that_begins_anywhere(self, tmp_path):
        X, y = problem(BackpropClassifier)
        (tmp_path / "X").write_bytes(b"!" + X.tobytes())
        file = np.memmap(tmp_path / "X", X.dtype, "r", offset=1, shape=X.shape)
        assert not file.flags.aligned
        assert_same_bits(small(BackpropClassifier).fit(file, y), small(BackpropClassifier).fit(X, y), file, X)

    @both
    def test_with_weights_several_outputs_chunks_and_a_validation_set(self, estimator, tmp_path):
        X, y = problem(estimator)
        y = np.column_stack([y, y[::-1]])
        weights, X = np.linspace(0, 1, len(y)), X.astype("i2")
        models = []
        for given in (mapped(X, tmp_path), X):
            model = small(estimator, early_stopping=True)
            held_out = {"X_val": given[:40], "y_val": y[:40], "sample_weight_val": weights[:40] + 0.1}
            model.fit(given, y, sample_weight=weights, **held_out).partial_fit(given[50:], y[50:], **held_out)
            models.append(model)
        assert_same_bits(*models, mapped(X, tmp_path), X)

    @pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize("dtype", ["f2", "f4", ">f8"])
    @both
    def test_with_a_value_that_is_not_finite_is_refused_as_in_memory(self, estimator, dtype, wrong, tmp_path):
        X, y = problem(estimator)
        model = small(estimator).fit(X, y)
        X = X.astype(dtype)
        X[-1, 3] = wrong
        for call in (lambda given: small(estimator).fit(given, y), model.predict):
            errors = []
            for given in (mapped(X, tmp_path), X):
                with pytest.raises(ValueError, match="Input X contains") as error:
                    call(given)
                errors.append(str(error.value))
            assert errors[0] == errors[1]

    @pytest.mark.parametrize("shape", [(), (3,), (2, 3, 4), (0, 3), (3, 0), (5, 2)], ids=str)
    def test_of_a_wrong_shape_is_refused_as_in_memory(self, shape, tmp_path):
        X, y = problem(BackpropClassifier)
        model, wrong = small(BackpropClassifier).fit(X, y), np.ones(shape, ">f4")
        errors = []
        for given in ((mapped(wrong, tmp_path) if wrong.size else wrong), wrong):
            with pytest.raises(ValueError, match=r"array|features") as error:
                model.predict(given)
            errors.append(str(error.value).replace("memmap", "array"))
        assert errors[0] == errors[1]

    def test_of_complex_numbers_or_strings_is_refused(self, tmp_path):
        X, y = problem(BackpropClassifier)
        with pytest.raises(ValueError, match="Complex"):
            small(BackpropClassifier).fit(mapped(X.astype(complex), tmp_path), y)
        with pytest.raises(ValueError, match="could not convert"):
            small(BackpropClassifier).fit(mapped(np.full(X.shape, "a"), tmp_path), y)


class TestExamples:
    @pytest.mark.parametrize("layout", [name for name in LAYOUTS if "last" not in name and "column" not in name[12:]])
    @pytest.mark.parametrize("dtype", ["f4", "f8"])
    def test_regular_rows_and_columns_are_read_where_they_are(self, layout, dtype):
        X = LAYOUTS[layout](numbers().astype(dtype), lambda whole: whole)
        found = as_examples(X, F64)
        values = found.X32 if dtype == "f4" else found.X64
        assert np.shares_memory(values, X)
        rows, columns, n = found.strides
        assert n == len(X)
        for i, k in [(0, 0), (n - 1, 0), (0, 5), (n - 1, 5), (71, 3)]:
            assert values[i * rows + k * columns] == X[i, k]

    def test_an_array_that_is_computed_from_a_file_is_not_a_file(self, tmp_path):
        file = mapped(numbers(), tmp_path)
        assert data.is_file(file)
        assert data.is_file(np.asarray(file)[3:, ::2].T)
        assert data.is_file(np.lib.stride_tricks.sliding_window_view(file[:, 0], 4))
        assert not data.is_file(file + 1)
        assert not data.is_file(numbers())

    def test_a_foreign_file_is_converted_a_few_rows_at_a_time(self, tmp_path):
        X = mapped(numbers(500).astype("i2"), tmp_path)
        found = as_examples(X, F64, codes=np.arange(500))
        assert isinstance(found, ForeignExamples)
        order = np.random.default_rng(0).permutation(500)
        (_, X64, _, _, _, codes, *_), local = found.read(order, 100, 130)
        assert X64.size == 30 * 6
        np.testing.assert_array_equal(X64.reshape(30, 6)[local[100:130]], X[order[100:130]])
        np.testing.assert_array_equal(codes[local[100:130]], order[100:130])
        assert local.size == order.size


def peak(function) -> int:
    """The most bytes that are allocated during a call, NumPy's included."""
    function()  # memory that is allocated once and kept does not count
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


class TestSize:
    """A fit and a prediction allocate memory of the size of a block and of y."""

    WIDE = 500

    @pytest.mark.parametrize("dtype", ["f4", "f8", "i2"])
    @pytest.mark.parametrize("fit", [*FITS, "lbfgs"])
    @both
    def test_grows_by_little_per_row_of_a_file(self, estimator, fit, dtype, tmp_path):
        peaks = []
        n_small, n_large = 2_000, 8_000
        for n in (n_small, n_large):
            path = tmp_path / f"X{n}.npy"
            np.lib.format.open_memmap(path, "w+", dtype, (n, self.WIDE))  # zeros take no space on disk
            X = np.load(path, mmap_mode="r")
            y = np.arange(n) % 2
            model = small(estimator, **FITS.get(fit, {"solver": "lbfgs"}), max_iter=1, batch_size=500)
            peaks.append(peak(lambda model=model, X=X, y=y: model.fit(X, y).predict(X)))
        # y, its codes, orders, splits and outputs take less. A row of X takes 1,000 bytes in int16, 2,000 in float32.
        assert (peaks[1] - peaks[0]) / (n_large - n_small) < 400

    @pytest.mark.parametrize("early_stopping", [False, True])
    def test_a_thousand_classes_do_not_cost_a_matrix_of_them(self, early_stopping):
        n, n_classes = 20_000, 1000
        X, y = np.random.default_rng(0).normal(size=(n, 4)).astype("f4"), np.arange(n) % n_classes
        params = {"early_stopping": early_stopping, "validation_fraction": 0.5, "max_iter": 1, "batch_size": 2000}
        model = small(BackpropClassifier, **params)
        one_hot = n * n_classes * 4
        assert peak(lambda: model.fit(X, y).predict(X)) < one_hot / 4
        assert peak(lambda: MLPClassifier((5,), max_iter=1).fit(X[:2000], y[:2000])) > one_hot / 20  # 2 bytes per entry

    @pytest.mark.parametrize("n_outputs", [1, 3])
    def test_scores_of_blocks_are_those_of_the_whole(self, n_outputs, monkeypatch):
        X, y = problem(BackpropRegressor)
        y = np.column_stack([y, -y, y**2])[:, :n_outputs].squeeze()
        labels = np.digitize(y if n_outputs == 1 else y[:, 0], [-1, 1]) if n_outputs == 1 else y > 1
        for estimator, target in ((BackpropRegressor, y), (BackpropClassifier, labels)):
            models = []
            for rows in (10_000, 1):
                monkeypatch.setattr(costs, "OUTPUT_BYTES", rows)
                monkeypatch.setattr(costs, "MAX_CHUNK", 16)
                monkeypatch.setattr(costs, "MIN_CHUNK", 16)
                models.append(small(estimator, early_stopping=True, validation_fraction=0.5).fit(X, target))
            assert_same_bits(*models, X, X)
            np.testing.assert_array_equal(models[1].predict(scipy.sparse.csr_array(X)), models[1].predict(X))
