"""Everything that scikit-learn's MLP accepts, in and out: containers, dtypes, labels, printed text, interrupts, copies.

What scikit-learn refuses must be refused in the same words, so most tests compare outcomes: a model, or an error.
"""

import pickle
import re
import warnings
from collections.abc import Callable
from fractions import Fraction
from typing import Any, ClassVar

import joblib
import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import BaseEstimator, clone
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning, NotFittedError
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale

from fastbp import BackpropClassifier, BackpropRegressor
from fastbp.estimators import base as perceptron
from fastbp.training import observer as monitor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

PAIRS = {BackpropClassifier: MLPClassifier, BackpropRegressor: MLPRegressor}
ESTIMATORS = list(PAIRS)
both = pytest.mark.parametrize("estimator", ESTIMATORS)

SOLVERS: dict[str, dict[str, Any]] = {
    "adam": {"solver": "adam", "learning_rate_init": 0.01},
    "sgd": {"solver": "sgd", "learning_rate_init": 0.02},
    "lbfgs": {"solver": "lbfgs"},
    "gd": {"solver": "gd", "learning_rate_init": 0.1},
}


def problem(estimator: type, *, whole: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """40 flowers and their species or the width of their petals; whole: in whole numbers, which any dtype can hold."""
    X, y = load_iris(return_X_y=True)
    X, y = scale(X)[10::3][:40], y[10::3][:40]
    if whole:
        X = np.round(3 * X)
    return (X, y) if estimator is BackpropClassifier else (X[:, :3], X[:, 3])


def small(estimator: type, **params) -> Any:
    defaults = {"hidden_layer_sizes": (4,), "activation": "tanh", "batch_size": 16, "max_iter": 3, "random_state": 0}
    return estimator(**{**defaults, **params})


def output(estimator, X) -> np.ndarray:
    return estimator.predict_proba(X) if hasattr(estimator, "predict_proba") else estimator.predict(X)


def assert_same_bits(actual, desired, where: str = "") -> None:
    for name in ("coefs_", "intercepts_"):
        for a, b in zip(getattr(actual, name), getattr(desired, name), strict=True):
            assert a.dtype == b.dtype
            assert_array_equal(a, b, err_msg=f"{where} {name}")


def outcome(model: BaseEstimator, act: Callable[[BaseEstimator], Any]) -> tuple[list[str], Any]:
    """Warnings, then what `act(model)` returns or the error that it raises, without the name of the model."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.simplefilter("ignore", ConvergenceWarning)
        try:
            result = act(model)
        except Exception as error:
            result = f"{type(error).__name__}: {error}"
    said = [f"{warning.category.__name__}: {warning.message}" for warning in caught]
    name = type(model).__name__
    result = result.replace(name, "MODEL") if isinstance(result, str) else result
    return [text.replace(name, "MODEL") for text in said], result


def assert_as_scikit_learn(estimator: type, X, y, *to_predict) -> str:
    """Fit and predict give the same warnings, error or result as scikit-learn's; returns the error or ''."""
    X_test = to_predict[0] if to_predict else X

    def fit_and_predict(model):
        model.fit(X, y)
        return model, model.predict(X_test), output(model, X_test)

    (said, ours), (expected, theirs) = (
        outcome(small(class_), fit_and_predict) for class_ in (estimator, PAIRS[estimator])
    )
    assert said == expected
    if isinstance(theirs, str):
        assert ours == theirs
        return theirs
    assert not isinstance(ours, str), ours
    model, prediction, values = theirs
    assert ours[1].dtype.newbyteorder("=") == prediction.dtype
    if prediction.dtype.kind == "f":
        assert_allclose(ours[1], prediction, rtol=1e-8, atol=1e-10)
    else:
        assert_array_equal(ours[1], prediction)
    assert_allclose(ours[2], values, rtol=1e-8, atol=1e-10)
    for name in ("classes_", "feature_names_in_", "n_features_in_"):
        assert hasattr(ours[0], name) == hasattr(model, name)
        value, expected = (np.asarray(getattr(fitted, name, None)) for fitted in (ours[0], model))
        assert value.dtype.newbyteorder("=") == expected.dtype
        assert_array_equal(value, expected)
    return ""


class TestX:
    @pytest.mark.parametrize("format", ["csr", "csc", "coo", "bsr", "lil", "dok", "dia"])
    @pytest.mark.parametrize("kind", ["array", "matrix"])
    @pytest.mark.parametrize("least", [0.7, 1.5], ids=["half full", "an eighth full"])
    @both
    def test_a_sparse_one_of_any_format_gives_the_bits_of_the_dense_one(self, estimator, least, kind, format):
        X, y = problem(estimator)
        X = np.where(np.abs(X) > least, X, 0.0)
        form = getattr(sparse, f"{format}_{kind}")(X)
        plain = small(estimator).fit(X, y)
        model = small(estimator).fit(form, y)
        assert_same_bits(model, plain)
        assert_array_equal(output(plain, form), output(plain, X))
        for a, b in zip(model.hidden_activations(form), plain.hidden_activations(X), strict=True):
            assert_array_equal(a, b)
        assert_same_bits(model.partial_fit(form, y), plain.partial_fit(X, y))

    @both
    def test_a_sparse_one_is_neither_changed_nor_kept(self, estimator):
        X, y = problem(estimator)
        form = sparse.csr_array(np.where(np.abs(X) > 0.7, X, 0.0))
        before = form.copy()
        for part in (form.data, form.indices, form.indptr):
            part.flags.writeable = False
        model = small(estimator).fit(form, y)
        model.predict(form)
        assert (form != before).nnz == 0
        assert not any(sparse.issparse(value) for value in vars(model).values())

    @staticmethod
    def layouts(X: np.ndarray, folder) -> dict[str, Any]:
        """The same numbers elsewhere and otherwise in memory."""
        read_only = X.copy()
        read_only.flags.writeable = False
        np.save(folder / "X.npy", X)
        joblib.dump(X, folder / "X.joblib")
        raw = np.zeros(X.nbytes + 1, np.uint8)
        unaligned = raw[1:].view(X.dtype).reshape(X.shape)
        unaligned[:] = X
        return {
            "Fortran order": np.asfortranarray(X),
            "read-only": read_only,
            "memory map": np.load(folder / "X.npy", mmap_mode="r"),
            "memory map of joblib's": joblib.load(folder / "X.joblib", mmap_mode="r"),
            "rows from the last": X[::-1].copy()[::-1],
            "columns from the last": X[:, ::-1].copy()[:, ::-1],
            "both, from the last": X[::-1, ::-1].copy()[::-1, ::-1],
            "every other row": np.repeat(X, 2, axis=0)[::2],
            "unaligned": unaligned,
            "transposed": X.T.copy().T,
            "a list of lists": X.tolist(),
            "a tuple of arrays": tuple(X),
            "byte-swapped": X.astype(X.dtype.newbyteorder()),
            "a subclass of ndarray": X.view(np.recarray),
        }

    @both
    def test_its_place_and_order_in_memory_do_not_change_a_bit(self, estimator, tmp_path):
        X, y = problem(estimator)
        plain = small(estimator).fit(X, y)
        expected = output(plain, X)
        for name, form in self.layouts(X, tmp_path).items():
            assert_same_bits(small(estimator).fit(form, y), plain, name)
            assert_array_equal(output(plain, form), expected, err_msg=name)

    @both
    def test_a_plain_array_of_floats_is_predicted_without_asking_scikit_learn(self, estimator, monkeypatch):
        X, y = problem(estimator)
        model = small(estimator).fit(X, y)
        forms = [X[:1], X, np.asfortranarray(X), X[::2, ::-1], X.astype(np.float32)]
        expected = [output(model, form.tolist() if form.dtype == np.float64 else form) for form in forms]

        def asked(*args, **kwargs):
            raise AssertionError("scikit-learn was asked")

        for name in ("validate_data", "check_is_fitted"):
            monkeypatch.setattr(perceptron, name, asked)
        for form, values in zip(forms, expected, strict=True):
            assert_array_equal(output(model, form), values)
        wrong = (X[:, :2], X[0], X[:0], X * np.inf)
        for other in (X.tolist(), X.astype(int), X.astype(">f8"), sparse.csr_array(X), *wrong):
            with pytest.raises(AssertionError, match="was asked"):
                model.predict(other)
        with pytest.raises(AssertionError, match="was asked"):
            small(estimator).predict(X)

    @both
    def test_weights_edited_between_predictions_of_one_row_are_those_that_predict(self, estimator):
        X, y = problem(estimator)
        model = small(estimator).fit(X, y)
        for edit in ("in place", "replaced", "of other widths"):
            before = output(model, X[:1])
            if edit == "in place":
                model.coefs_[0][:, 1] += 1.0
            elif edit == "replaced":
                model.coefs_[1] = model.coefs_[1] + np.arange(4.0)[:, None] * np.arange(1, model.n_outputs_ + 1)
            else:
                model.coefs_ = [np.hstack([model.coefs_[0]] * 2), np.vstack([model.coefs_[1]] * 2)]
                model.intercepts_[0] = np.tile(model.intercepts_[0], 2)
            after = output(model, X[:1])
            assert (after != before).any(), edit
            assert_array_equal(after, output(model, X)[:1], err_msg=edit)
            assert_array_equal(after, output(pickle.loads(pickle.dumps(model)), X.tolist()[:1]), err_msg=edit)

    @pytest.mark.parametrize("rows", [1, 40])
    @both
    def test_outputs_that_are_not_finite_are_never_passed_on(self, estimator, rows):
        X, y = problem(estimator)
        model = small(estimator, activation="identity").fit(X, y)
        far = X[:rows] + 0.0
        far[-1] = 1e308, *[-1e308] * (X.shape[1] - 1)
        broken = pickle.loads(pickle.dumps(model))
        model.coefs_[0] *= 1e3
        broken.coefs_[0][0, 0] = np.nan
        methods = ["predict", "hidden_activations"] + ["predict_proba"] * (estimator is BackpropClassifier)
        for method in methods:
            with pytest.raises(ValueError, match=r"outputs are not finite.* X, whose largest value is 1e\+308"):
                getattr(model, method)(far)
            with pytest.raises(ValueError, match=r"outputs are not finite.* coefs_ and intercepts_"):
                getattr(broken, method)(X[:rows])

    @pytest.mark.parametrize("dtype", ["i1", "u1", ">i2", "i4", "i8", "f2", ">f8", "g", "O"])
    @both
    def test_numbers_of_any_dtype_are_their_float64(self, estimator, dtype):
        X, y = problem(estimator, whole=True)
        X = X - X.min()
        plain = small(estimator).fit(X, y)
        model = small(estimator).fit(X.astype(dtype), y)
        assert model.coefs_[0].dtype == np.float64
        assert_same_bits(model, plain)
        assert_array_equal(output(plain, X.astype(dtype)), output(plain, X))

    @both
    def test_truth_values_are_their_float64(self, estimator):
        X, y = problem(estimator)
        assert_same_bits(small(estimator).fit(X > 0, y), small(estimator).fit((X > 0).astype(float), y))

    @pytest.mark.parametrize(
        "break_",
        [
            lambda X: X[:, :0],
            lambda X: X[:0],
            lambda X: X[:, 0],
            lambda X: X[None],
            lambda X: X[:-1],
            lambda X: np.where(X[0, 0] == X, np.nan, X),
            lambda X: np.where(X[0, 0] == X, -np.inf, X),
            lambda X: X + 1j,
            lambda X: np.full(X.shape, None),
            lambda X: sparse.csr_array(np.where(X[0, 0] == X, np.nan, X)),
            lambda X: sparse.csr_array(X)[:, :0],
            lambda X: 3.0,
        ],
    )
    @both
    def test_what_is_not_valid_is_refused_as_by_scikit_learn(self, estimator, break_):
        X, y = problem(estimator)
        broken = break_(X)
        assert assert_as_scikit_learn(estimator, broken, y)
        if np.shape(broken) != X[:-1].shape:  # fewer rows are fine in predict
            assert assert_as_scikit_learn(estimator, X, y, broken)

    @both
    def test_strings_and_none_are_refused(self, estimator):
        X, y = problem(estimator)
        model = small(estimator).fit(X, y)
        for words in (np.full(X.shape, "a"), np.full(X.shape, "a", object), "a"):
            assert assert_as_scikit_learn(estimator, words, y)
            with pytest.raises(ValueError, match="could not convert string to float: "):
                model.predict(words)
        assert assert_as_scikit_learn(estimator, None, y)
        with pytest.raises(ValueError, match="Expected 2D array"):
            model.predict(None)

    @pytest.mark.parametrize("columns", [slice(0, 1), [0, 0, 0]])
    @both
    def test_one_column_and_equal_columns(self, estimator, columns):
        X, y = problem(estimator)
        assert assert_as_scikit_learn(estimator, X[:, columns], y) == ""

    @both
    def test_one_row_and_rows_of_zeros(self, estimator):
        X, y = problem(estimator)
        assert assert_as_scikit_learn(estimator, X, y, X[:1]) == ""
        assert assert_as_scikit_learn(estimator, 0 * X, y) == ""
        assert assert_as_scikit_learn(estimator, sparse.csr_array(X.shape), y) == ""


class TestY:
    @pytest.mark.parametrize(
        "labels",
        [
            np.array(["setosa", "versicolor", "virginica"]),
            np.array(["setosa", "versicolor", "virginica"], object),
            np.array(["ä", "a", "Ω"]),
            np.array([-1, -5, 2]),
            np.array([-1, -5, 2], np.int8),
            np.array([300, 2, 1], np.uint16),
            np.array([2**40, 2, 1]),
            np.array([2.0, -1.0, 1e6]),
            np.array([2.0, -1.0, 3.0], np.float32),
            np.array([1, 0, 1]),
            np.array([True, False, True]),
            np.array(["yes", "no", "no"]),
            np.array([-1, 1, 1], ">i4"),
            np.array([1.0, 2.0, np.nan]),
        ],
        ids=lambda labels: f"{labels.dtype} {labels.tolist()}",
    )
    def test_labels_are_those_of_scikit_learn(self, labels):
        X, y = problem(BackpropClassifier)
        for form in (labels[y], labels[y].tolist()):
            assert ("NaN" in assert_as_scikit_learn(BackpropClassifier, X, form)) == (labels[2] != labels[2])

    @pytest.mark.parametrize(
        "labels", [np.array([0.5, 1.25, 2.0]), np.array([1, "a", 2.0], object), np.array([1, 2, None], object)]
    )
    def test_what_are_no_labels_is_refused(self, labels):
        X, y = problem(BackpropClassifier)
        with pytest.raises(ValueError, match="Unknown label type"):
            small(BackpropClassifier).fit(X, labels[y])

    @pytest.mark.parametrize("values", [[0, 1, 2], ["0", "1", "1"], [0.0, 2.0, 3.0]], ids=repr)
    def test_a_matrix_of_several_labels_each_is_no_indicator(self, values):
        X, y = problem(BackpropClassifier)
        Y = np.array(values)[np.column_stack([y, 2 - y])]
        assert "Multioutput target data is not supported" in assert_as_scikit_learn(BackpropClassifier, X, Y)

    @pytest.mark.parametrize("dtype", ["M8[D]", "m8[s]"])
    def test_a_label_that_is_not_a_time_is_refused_as_nan_is(self, dtype):
        X, y = problem(BackpropClassifier)
        times = np.array(y, dtype)
        assert_array_equal(small(BackpropClassifier).fit(X, times).classes_, np.unique(times))
        times[3] = "NaT"
        with pytest.raises(ValueError, match="Input y contains NaT"):
            small(BackpropClassifier).fit(X, times)

    @pytest.mark.parametrize("dtype", [bool, np.int8, np.int64, np.float32, ">i4"])
    @pytest.mark.parametrize("form", [np.asarray, np.asfortranarray, list])
    def test_an_indicator_matrix(self, form, dtype):
        X, y = problem(BackpropClassifier)
        Y = np.column_stack([y == 0, y != 1, y == 2]).astype(dtype)
        assert assert_as_scikit_learn(BackpropClassifier, X, form(Y)) == ""

    @pytest.mark.parametrize("format", ["csr_array", "csc_matrix"])
    def test_a_sparse_indicator_matrix(self, format):
        X, y = problem(BackpropClassifier)
        Y = np.column_stack([y == 0, y != 1, y == 2]).astype(int)
        model = small(BackpropClassifier).fit(X, getattr(sparse, format)(Y))
        assert_same_bits(model, small(BackpropClassifier).fit(X, Y))
        assert 0 <= model.score(X, Y) <= 1

    @pytest.mark.parametrize("dtype", [bool, np.int8, np.float16, np.float32, ">f8", "g", "O"])
    @pytest.mark.parametrize("columns", [1, 2])
    def test_numbers_of_any_dtype(self, columns, dtype):
        X, y = problem(BackpropRegressor)
        Y = np.column_stack([np.round(y), np.round(-2 * y)])[:, :columns]
        y = (Y[:, 0] if columns == 1 else Y).astype(dtype)
        for form in (y, y.tolist(), y[::-1].copy()[::-1]):
            model = small(BackpropRegressor).fit(X, form)
            assert_same_bits(model, small(BackpropRegressor).fit(X, np.asarray(y, float)))

    @pytest.mark.parametrize("break_", [lambda y: y[:-1], lambda y: y[:0], lambda y: None, lambda y: y * np.nan])
    @both
    def test_what_is_not_valid_is_refused_as_by_scikit_learn(self, estimator, break_):
        X, y = problem(estimator)
        assert assert_as_scikit_learn(estimator, X, break_(y))

    @pytest.mark.parametrize("format", ["csr_array", "csc_matrix", "coo_array", "dok_matrix"])
    @pytest.mark.parametrize("columns", [1, 2])
    def test_sparse_numbers_are_the_dense_ones(self, columns, format):
        X, y = problem(BackpropRegressor)
        Y = np.column_stack([np.where(y > 0, y, 0.0), -y])[:, :columns]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataConversionWarning)
            model = small(BackpropRegressor).fit(X, getattr(sparse, format)(Y))
        assert_same_bits(model, small(BackpropRegressor).fit(X, Y if columns == 2 else Y[:, 0]))

    def test_a_sparse_vector_of_numbers(self):
        X, y = problem(BackpropRegressor)
        form = sparse.coo_array(y)
        form = form if form.shape == y.shape else form.T  # SciPy before 1.13 has matrices only
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataConversionWarning)
            model = small(BackpropRegressor).fit(X, form)
        assert_same_bits(model, small(BackpropRegressor).fit(X, y))

    @both
    def test_a_column_is_a_vector_with_a_warning(self, estimator):
        X, y = problem(estimator)
        with pytest.warns(DataConversionWarning, match="column-vector"):
            model = small(estimator).fit(X, y[:, None])
        assert_same_bits(model, small(estimator).fit(X, y))
        assert model.predict(X).shape == y.shape

    @both
    def test_weights_in_any_container(self, estimator, tmp_path):
        X, y = problem(estimator)
        weights = np.arange(len(y)) % 3
        joblib.dump(weights, tmp_path / "w")
        plain = small(estimator).fit(X, y, sample_weight=weights.astype(float))
        forms = [weights, weights.tolist(), weights.astype("f4"), weights.astype(">f8"), weights[::-1].copy()[::-1]]
        for form in [*forms, joblib.load(tmp_path / "w", mmap_mode="r")]:
            assert_same_bits(small(estimator).fit(X, y, sample_weight=form), plain)
        assert not np.array_equal(small(estimator).fit(X, y).coefs_[0], plain.coefs_[0])


class TestDataFrames:
    @staticmethod
    def frame(library: str, X: np.ndarray) -> Any:
        module = pytest.importorskip(library)
        if library == "polars":
            return module.DataFrame(X, schema=[f"x{i}" for i in range(X.shape[1])])
        return module.DataFrame(X, columns=[f"x{i}" for i in range(X.shape[1])])

    @pytest.mark.parametrize("library", ["pandas", "polars"])
    @both
    def test_give_the_bits_of_their_values_and_their_names(self, estimator, library):
        X, y = problem(estimator)
        frame = self.frame(library, X)
        model = small(estimator).fit(frame, y)
        plain = small(estimator).fit(X, y)
        assert_same_bits(model, plain)
        assert_array_equal(model.feature_names_in_, frame.columns)
        assert model.feature_names_in_.dtype == object
        assert not hasattr(plain, "feature_names_in_")
        assert_array_equal(output(model, frame), output(plain, X))
        assert assert_as_scikit_learn(estimator, frame, y) == ""

    @pytest.mark.parametrize("library", ["pandas", "polars"])
    @both
    def test_y_weights_and_validation_set(self, estimator, library):
        module = pytest.importorskip(library)
        X, y = problem(estimator)
        weights = np.arange(len(y)) % 3 + 1.0
        frame = self.frame(library, X)
        held_out = {
            "X_val": frame[:10],
            "y_val": module.Series(y[:10]),
            "sample_weight_val": module.Series(weights[:10]),
        }
        model = small(estimator).fit(frame, module.Series(y), module.Series(weights), **held_out)
        plain = small(estimator).fit(X, y, weights, X_val=X[:10], y_val=y[:10], sample_weight_val=weights[:10])
        assert_same_bits(model, plain)
        assert model.validation_loss_curve_ == plain.validation_loss_curve_
        assert model.validation_scores_ == plain.validation_scores_

    @pytest.mark.parametrize("library", ["pandas", "polars"])
    def test_y_of_several_outputs_and_of_strings(self, library):
        module = pytest.importorskip(library)
        X, y = problem(BackpropRegressor)
        Y = np.column_stack([y, -y])
        assert_same_bits(small(BackpropRegressor).fit(X, self.frame(library, Y)), small(BackpropRegressor).fit(X, Y))
        X, y = problem(BackpropClassifier)
        names = np.array(["setosa", "versicolor", "virginica"])[y]
        for labels in (module.Series(names), module.Series(names.tolist())):
            assert assert_as_scikit_learn(BackpropClassifier, X, labels) == ""

    @pytest.mark.parametrize("library", ["pandas", "polars"])
    @both
    def test_names_are_checked_in_the_words_of_scikit_learn(self, estimator, library):
        X, y = problem(estimator)
        frame = self.frame(library, X)
        assert assert_as_scikit_learn(estimator, frame, y, X) == ""  # with a warning
        assert assert_as_scikit_learn(estimator, X, y, frame) == ""  # with another one
        others = frame.rename({"x0": "z"}) if library == "polars" else frame.rename(columns={"x0": "z"})
        assert "feature names should match" in assert_as_scikit_learn(estimator, frame, y, others)
        reversed_ = frame[list(frame.columns)[::-1]]
        assert "same order" in assert_as_scikit_learn(estimator, frame, y, reversed_)
        assert "features" in assert_as_scikit_learn(estimator, frame, y, X[:, :2])
        with pytest.raises(ValueError, match="feature names should match"):
            small(estimator).fit(frame, y, X_val=others, y_val=y)

    @both
    def test_columns_of_every_pandas_dtype_that_scikit_learn_takes(self, estimator):
        pandas = pytest.importorskip("pandas")
        X, y = problem(estimator, whole=True)
        frame = pandas.DataFrame(
            {
                "nullable integers": pandas.array(X[:, 0].astype(int), dtype="Int64"),
                "nullable floats": pandas.array(X[:, 1], dtype="Float64"),
                "nullable truth": pandas.array(X[:, 2] > 0, dtype="boolean"),
                "truth": X[:, 2] > 0,
                "codes": pandas.Categorical(X[:, 2].astype(int)).codes,
                "small": X[:, 0].astype("float32"),
            }
        )
        categories = frame.assign(category=pandas.Categorical(X[:, 1]))
        for form in (frame, categories, frame[["nullable integers"]], frame.iloc[:, :3], frame.astype(object)):
            assert assert_as_scikit_learn(estimator, form, y) == ""
            assert_same_bits(small(estimator).fit(form, y), small(estimator).fit(np.asarray(form, float), y))

    @both
    def test_columns_that_scikit_learn_refuses_are_refused_in_its_words(self, estimator):
        pandas = pytest.importorskip("pandas")
        X, y = problem(estimator)
        frame = pandas.DataFrame(X)
        missing = pandas.array([pandas.NA, *X[1:, 0]], dtype="Float64")
        for column in (missing, pandas.Categorical(["a", "b"] * 20), pandas.Series(["a", "b"] * 20)):
            assert assert_as_scikit_learn(estimator, frame.assign(column=column).rename(columns=str), y)
        assert assert_as_scikit_learn(estimator, frame.assign(column=1.0), y)  # names of two types

    def test_pandas_labels(self):
        pandas = pytest.importorskip("pandas")
        X, y = problem(BackpropClassifier)
        names = np.array(["setosa", "versicolor", "virginica"])[y]
        for labels in (
            pandas.Series(names, dtype="string"),
            pandas.Series(pandas.Categorical(names)),
            pandas.Series(pandas.array(y, dtype="Int64")),
            pandas.Series(y == 0),
            pandas.Series(pandas.array(y == 0, dtype="boolean")),
            pandas.Series(names, index=np.arange(len(y))[::-1]),
            pandas.DataFrame({"species": names}),
            pandas.DataFrame({"setosa": y == 0, "virginica": y == 2}),
        ):
            assert_as_scikit_learn(BackpropClassifier, X, labels)

    @both
    def test_sparse_frames(self, estimator):
        pandas = pytest.importorskip("pandas")
        X, y = problem(estimator)
        X = np.where(np.abs(X) > 0.7, X, 0.0)
        frame = pandas.DataFrame.sparse.from_spmatrix(sparse.csr_matrix(X)).rename(columns=str)
        assert assert_as_scikit_learn(estimator, frame, y) == ""
        assert_same_bits(small(estimator).fit(frame, y), small(estimator).fit(X, y))


class TestVerbose:
    """The printed text is that of scikit-learn's, character by character."""

    CASES: ClassVar[dict[str, dict[str, Any]]] = {
        "adam": {"max_iter": 5},
        "sgd": {"solver": "sgd", "max_iter": 5},
        "tol": {"tol": 0.05, "n_iter_no_change": 3, "max_iter": 60},
        "sgd, tol": {"solver": "sgd", "tol": 0.05, "n_iter_no_change": 2, "max_iter": 60},
        "adaptive": {
            "solver": "sgd",
            "learning_rate": "adaptive",
            "learning_rate_init": 0.3,
            "tol": 0.1,
            "n_iter_no_change": 1,
            "max_iter": 60,
        },
        "early stopping": {"early_stopping": True, "n_iter_no_change": 3, "validation_fraction": 0.3, "max_iter": 60},
        "early stopping, adaptive": {
            "early_stopping": True,
            "solver": "sgd",
            "learning_rate": "adaptive",
            "n_iter_no_change": 1,
            "tol": 0.2,
            "validation_fraction": 0.3,
            "max_iter": 60,
        },
    }

    @staticmethod
    def printed(model, X, y, capsys, method: str = "fit", **fit_params) -> list[str]:
        capsys.readouterr()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            getattr(model, method)(X, y, **fit_params)
        return capsys.readouterr().out.splitlines()

    @pytest.mark.parametrize("case", CASES)
    @both
    def test_fit(self, estimator, case, capsys):
        X, y = problem(estimator)
        params = {"learning_rate_init": 0.05, **self.CASES[case], "verbose": True}
        ours, theirs = (self.printed(small(class_, **params), X, y, capsys) for class_ in (estimator, PAIRS[estimator]))
        assert ours == theirs
        kinds = {re.sub(r"-?\d+(\.\d+)?", "#", line) for line in ours}
        assert "Iteration #, loss = #" in kinds
        assert ("Validation score: #" in kinds) == ("early" in case)
        assert any("Stopping." in line for line in kinds) == (case not in ("adam", "sgd"))
        assert any("Setting learning rate to #" in line for line in kinds) == ("adaptive" in case)

    @pytest.mark.parametrize("solver", ["adam", "sgd"])
    @both
    def test_partial_fit(self, estimator, solver, capsys):
        X, y = problem(estimator)
        params = {**SOLVERS[solver], "verbose": True, "tol": 10, "n_iter_no_change": 1}
        ours, theirs = small(estimator, **params), small(PAIRS[estimator], **params)
        first = {"classes": [0, 1, 2]} if estimator is BackpropClassifier else {}
        for fit_params in (first, {}, {}, {}):
            lines = self.printed(ours, X, y, capsys, "partial_fit", **fit_params)
            assert lines == self.printed(theirs, X, y, capsys, "partial_fit", **fit_params)
        assert "Stopping." in lines[-1]

    @pytest.mark.parametrize("solver", ["adam", "sgd"])
    def test_the_messages_of_several_outputs(self, solver, capsys):
        X, y = problem(BackpropRegressor)
        Y = np.column_stack([y, -y, X[:, 0]])
        params = {**SOLVERS[solver], "verbose": True, "tol": 0.1, "n_iter_no_change": 1, "max_iter": 60, "alpha": 0.0}
        ours, theirs = (
            self.printed(small(class_, **params), X, Y, capsys) for class_ in (BackpropRegressor, MLPRegressor)
        )
        assert len(ours) == len(theirs)
        assert ours[-1] == theirs[-1]
        assert "did not improve more than tol=0.100000 for 1 consecutive epochs. Stopping." in ours[-1]

    @pytest.mark.parametrize("solver", SOLVERS)
    @both
    def test_says_nothing_unless_asked(self, estimator, solver, capsys):
        X, y = problem(estimator)
        for verbose in (False, 0):
            assert not self.printed(small(estimator, verbose=verbose, **SOLVERS[solver]), X, y, capsys)
        for verbose in (True, 1, 10):
            lines = self.printed(small(estimator, verbose=verbose, **SOLVERS[solver]), X, y, capsys)
            assert sum(line.startswith("Iteration ") for line in lines) >= 3


class Interruption:
    """Ctrl-C after some epoch."""

    def __init__(self, epoch: int):
        self.epoch = epoch

    def __call__(self, epoch: int, max_iter: int, loss: float) -> None:
        if epoch == self.epoch:
            raise KeyboardInterrupt


def interrupted(model, X, y, epoch: int, method: str = "fit", **fit_params) -> Any:
    with monitor.watch(Interruption(epoch)), pytest.warns(UserWarning, match=r"^Training interrupted by user\.$"):
        return getattr(model, method)(X, y, **fit_params)


class TestInterrupt:
    @pytest.mark.parametrize("solver", SOLVERS)
    @both
    def test_of_a_fit_keeps_what_a_shorter_fit_gives(self, estimator, solver):
        X, y = problem(estimator)
        model = interrupted(small(estimator, **SOLVERS[solver], max_iter=50), X, y, 3)
        shorter = small(estimator, **SOLVERS[solver], max_iter=3).fit(X, y)
        assert_same_bits(model, shorter)
        assert model.n_iter_ == 3
        assert model.t_ == shorter.t_
        assert not model.converged_
        assert model.loss_curve_ == shorter.loss_curve_[: len(model.loss_curve_)]
        assert len(model.loss_curve_) == 3
        assert_array_equal(output(model, X), output(shorter, X))

    @pytest.mark.parametrize("solver", ["adam", "sgd"])
    @both
    def test_of_partial_fit_keeps_the_epoch(self, estimator, solver):
        X, y = problem(estimator)
        first = {"classes": [0, 1, 2]} if estimator is BackpropClassifier else {}
        model, whole = (small(estimator, **SOLVERS[solver]).partial_fit(X, y, **first) for _ in range(2))
        interrupted(model, X, y, 1, "partial_fit")
        whole.partial_fit(X, y)
        for _ in range(2):
            assert_same_bits(model, whole)
            assert model.loss_curve_ == whole.loss_curve_
            assert model.t_ == whole.t_
            model.partial_fit(X, y)
            whole.partial_fit(X, y)

    @pytest.mark.parametrize("given", [False, True])
    @both
    def test_of_early_stopping_keeps_the_best_weights(self, estimator, given):
        X, y = problem(estimator)
        params = {"early_stopping": True, "validation_fraction": 0.3, "learning_rate_init": 0.1, "max_iter": 50}
        held_out = {"X_val": X[:15], "y_val": y[:15]} if given else {}
        model = interrupted(small(estimator, **params), X, y, 7, **held_out)
        assert len(model.validation_scores_) == len(model.validation_loss_curve_) == len(model.loss_curve_) == 7
        assert model.best_validation_score_ == max(model.validation_scores_)
        best = int(np.argmax(model.validation_scores_)) + 1
        shorter = small(estimator, **{**params, "max_iter": best}).fit(X, y, **held_out)
        assert_same_bits(model, shorter)
        if given:
            assert model.score(X[:15], y[:15]) == pytest.approx(model.best_validation_score_)

    @both
    def test_of_a_fit_with_a_validation_set_keeps_its_record(self, estimator):
        X, y = problem(estimator)
        model = interrupted(small(estimator, max_iter=50), X, y, 3, X_val=X[:9], y_val=y[:9])
        shorter = small(estimator).fit(X, y, X_val=X[:9], y_val=y[:9])
        assert_same_bits(model, shorter)
        assert model.validation_scores_ == shorter.validation_scores_
        assert model.validation_loss_curve_ == shorter.validation_loss_curve_
        assert model.score(X[:9], y[:9]) == pytest.approx(model.validation_scores_[-1])


def by_pickle(model, folder) -> Any:
    return pickle.loads(pickle.dumps(model))


def by_joblib(model, folder) -> Any:
    joblib.dump(model, folder / "model")
    return joblib.load(folder / "model")


def by_memory_map(model, folder) -> Any:
    joblib.dump(model, folder / "model")
    return joblib.load(folder / "model", mmap_mode="r")


class TestCopies:
    """A model that was stored and loaded is the same, and trains on as the original would."""

    @staticmethod
    def models(estimator: type, solver: str) -> dict[str, Any]:
        X, y = problem(estimator)
        params = {**SOLVERS[solver], "random_state": np.random.RandomState(0)}
        warm = small(estimator, **params, warm_start=True).fit(X, y).fit(X, y)
        stopped = interrupted(small(estimator, **params, warm_start=True), X, y, 2)
        models = {"fitted": small(estimator, **params).fit(X, y), "warm": warm, "interrupted": stopped}
        if solver in ("sgd", "adam"):
            early = {**params, "early_stopping": True, "validation_fraction": 0.3, "warm_start": True}
            models["early stopping"] = small(estimator, **early).fit(X, y)
            models["adaptive"] = small(estimator, **params, learning_rate="adaptive", tol=1, n_iter_no_change=1).fit(
                X, y
            )
        return models

    @pytest.mark.parametrize("copy", [by_pickle, by_joblib, by_memory_map])
    @pytest.mark.parametrize("solver", SOLVERS)
    @both
    def test_go_on_as_the_original(self, estimator, solver, copy, tmp_path):
        X, y = problem(estimator)
        for name, model in self.models(estimator, solver).items():
            loaded = copy(model, tmp_path)
            assert vars(loaded).keys() == vars(model).keys()
            assert_same_bits(loaded, model, name)
            assert_array_equal(output(loaded, X), output(model, X), err_msg=name)
            again = ["fit", "fit"]
            if solver in ("sgd", "adam") and not model.early_stopping:
                again = ["partial_fit", "partial_fit", "fit"]
            for method in again:
                for estimator_ in (model, loaded):
                    getattr(estimator_, method)(X, y)
                assert_same_bits(loaded, model, f"{name} {method}")
                assert loaded.loss_curve_ == model.loss_curve_
                assert loaded.n_iter_ == model.n_iter_
                assert loaded.converged_ == model.converged_

    @both
    def test_of_an_unfitted_one_are_unfitted(self, estimator, tmp_path):
        for copy in (by_pickle, by_joblib):
            with pytest.raises(NotFittedError):
                copy(small(estimator), tmp_path).predict([[0.0]])

    @both
    def test_clones_have_the_parameters_alone(self, estimator):
        X, y = problem(estimator)
        model = small(estimator, alpha=0.25, random_state=np.random.RandomState(3))
        state = model.random_state.get_state()[1].copy()
        cloned = clone(model).fit(X, y)
        assert_array_equal(model.random_state.get_state()[1], state)
        with pytest.raises(NotFittedError):
            clone(cloned).predict(X)
        assert clone(cloned).get_params().keys() == model.get_params().keys()
        assert clone(cloned).alpha == 0.25


class TestConfiguration:
    @both
    def test_parameters_set_after_a_fit_leave_its_predictions_alone(self, estimator):
        X, y = problem(estimator)
        model = small(estimator).fit(X, y)
        before = output(model, X)
        model.set_params(hidden_layer_sizes=(9, 9), solver="lbfgs", alpha=3, early_stopping=True, max_iter=1, n_jobs=2)
        assert_array_equal(output(model, X), before)
        assert len(model.fit(X, y).coefs_) == 3

    @pytest.mark.parametrize("value", [Fraction(1, 2), np.timedelta64(3, "s"), 10**400, -(10**400), 1j], ids="abcde")
    @pytest.mark.parametrize("name", ["alpha", "max_iter", "n_jobs"])
    @both
    def test_a_number_that_is_no_float_is_refused_by_name(self, estimator, name, value):
        X, y = problem(estimator)
        with pytest.raises(ValueError, match=f"The '{name}' parameter of {estimator.__name__} must be ") as error:
            small(estimator, **{name: value}).fit(X, y)
        assert f"Got {value!r} instead." in str(error.value)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("max_iter", np.int8(127)),
            ("max_iter", np.uint64(5)),
            ("power_t", np.float16(2.0)),
            ("learning_rate_init", np.float16(0.25)),
            ("tol", np.float16(2.0**-9)),
        ],
        ids=str,
    )
    @pytest.mark.parametrize("solver", SOLVERS)
    @both
    def test_a_number_of_numpys_is_that_of_python(self, estimator, solver, name, value):
        X, y = (np.concatenate([part] * 8) for part in problem(estimator))
        params = {"solver": solver, "learning_rate": "invscaling", "learning_rate_init": 1e-3, "n_iter_no_change": 200}
        model, plain = (small(estimator, **{**params, name: number}).fit(X, y) for number in (value, value.item()))
        assert model.n_iter_ == plain.n_iter_ > 0
        assert_same_bits(model, plain)

    @pytest.mark.parametrize("sizes", [10**25, (3, 2**60), [2**40, 2**40]])
    @both
    def test_layers_beyond_all_memory_are_refused_by_name(self, estimator, sizes):
        X, y = problem(estimator)
        with pytest.raises(ValueError, match=r"hidden_layer_sizes must .*, got ") as error:
            small(estimator, hidden_layer_sizes=sizes).fit(X, y)
        assert repr(sizes) in str(error.value)

    @pytest.mark.parametrize("names", [[3], ["tanh", None], [["tanh"], ["relu", "tanh"]], ["Relu"], np.array([True])])
    @both
    def test_activations_that_are_none_are_refused_as_they_were_given(self, estimator, names):
        X, y = problem(estimator)
        with pytest.raises(ValueError, match=r"activation must be among .* or a list of them, got ") as error:
            small(estimator, activation=names).fit(X, y)
        assert str(error.value).endswith(f"got {names!r}.")

    @pytest.mark.parametrize("weights", [{"setosa": 1.0}, {0: "heavy"}])
    def test_a_class_weight_that_does_not_go_with_the_classes_is_shown_with_them(self, weights):
        X, y = problem(BackpropClassifier)
        with pytest.raises(ValueError, match=r"class_weight must have numbers for classes among \[0 1 2\]") as error:
            small(BackpropClassifier, class_weight=weights).fit(X, y)
        assert repr(weights) in str(error.value)

    @pytest.mark.parametrize(("dtype", "epsilon"), [("float64", 1e-310), ("float32", 1e-40), ("float32", 1e-60)])
    @both
    def test_an_epsilon_that_training_takes_for_0_does_not_make_nan_of_weights_without_gradient(
        self, estimator, dtype, epsilon
    ):
        X, y = problem(estimator)
        X = np.column_stack([X, np.zeros(len(X))])  # the last column's weights have none
        params = {"solver": "adam", "dtype": dtype, "alpha": 0.0, "learning_rate_init": 1e-3}
        model = small(estimator, **params, epsilon=epsilon).fit(X, y)
        assert_array_equal(model.coefs_[0][-1], small(estimator, **params, epsilon=1e-8).fit(X, y).coefs_[0][-1])
        assert np.isfinite(model.predict(X).astype(float)).all()

    @pytest.mark.parametrize("names", ["hidden_layer_size", "dropout"])
    @both
    def test_an_unknown_parameter_is_refused(self, estimator, names):
        with pytest.raises(ValueError, match=f"Invalid parameter '{names}'"):
            small(estimator).set_params(**{names: 3})
        pipeline = make_pipeline(StandardScaler(), small(estimator))
        pipeline.set_params(**{f"{estimator.__name__.lower()}__alpha": 0.5})
        assert pipeline[-1].alpha == 0.5

    @pytest.mark.parametrize(
        "settings",
        [
            {"transform_output": "pandas"},
            {"enable_metadata_routing": True},
            {"assume_finite": True},
            {"skip_parameter_validation": True},
            {"array_api_dispatch": False, "print_changed_only": False, "working_memory": 1},
        ],
        ids=lambda settings: next(iter(settings)),
    )
    @both
    def test_settings_of_scikit_learn_do_not_change_a_bit(self, estimator, settings):
        if "transform_output" in settings:
            pytest.importorskip("pandas")
        X, y = problem(estimator)
        weights = np.arange(len(y)) + 1.0
        plain = make_pipeline(StandardScaler(), small(estimator)).fit(X, y)
        weighted = small(estimator).fit(X, y, sample_weight=weights)
        with sklearn.config_context(**settings):
            pipeline = make_pipeline(StandardScaler(), small(estimator)).fit(X, y)
            prediction = pipeline.predict(X)
            assert type(prediction) is np.ndarray
            assert_same_bits(pipeline[-1], plain[-1])
            assert_same_bits(small(estimator).fit(X, y, sample_weight=weights), weighted)
        assert_array_equal(prediction, plain.predict(X))

    @both
    def test_names_that_a_transformer_gives_are_checked(self, estimator):
        pytest.importorskip("pandas")
        X, y = problem(estimator)
        pipeline = make_pipeline(StandardScaler().set_output(transform="pandas"), small(estimator)).fit(X, y)
        assert_array_equal(pipeline[-1].feature_names_in_, [f"x{i}" for i in range(X.shape[1])])
        pipeline.predict(X)  # without a warning: the names are the same


def test_repeated_entries_that_overflow_are_refused():
    X = sparse.csr_matrix((np.array([1e308, 1e308, 1.0, 1.0]), np.array([0, 0, 1, 0]), np.array([0, 2, 4])))
    with pytest.raises(ValueError, match="X contains infinity or a value too large: the sum of its repeated entries"):
        BackpropClassifier((5,), max_iter=2).fit(X, [0, 1])
