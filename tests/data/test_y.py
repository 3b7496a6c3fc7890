"""y and weights in everything that scikit-learn's MLP accepts: labels, indicators, numbers.

Data that scikit-learn refuses must be refused in the same words. So most tests compare outcomes: a model, or an error.
"""

import warnings

import joblib
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.exceptions import DataConversionWarning

from fastbp import BackpropClassifier, BackpropRegressor
from support.fits import assert_as_scikit_learn, assert_same_bits, both, problem, small

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


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
    def test_values_that_are_not_labels_are_refused(self, labels):
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
    def test_an_invalid_y_is_refused_as_by_scikit_learn(self, estimator, break_):
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
