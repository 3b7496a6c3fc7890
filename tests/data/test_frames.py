"""Dataframes as X, y, weights and validation sets, and the names of their columns."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse

from fastbp import BackpropClassifier, BackpropRegressor
from support.fits import assert_as_scikit_learn, assert_same_bits, both, output, problem, small

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


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
    def test_text_is_refused_with_the_names_of_its_columns(self, estimator, library):
        module = pytest.importorskip(library)
        X, y = problem(estimator)
        text = np.where(X[:, 0] > 0, "red", "blue")
        frame = module.DataFrame({"a": X[:, 0], "colour": text, "b": X[:, 1], "shape": text})
        with pytest.raises(ValueError, match=r"X has columns of text: 'colour', 'shape'\. .*OneHotEncoder"):
            small(estimator).fit(frame, y)
        numbers = module.DataFrame(dict.fromkeys(("a", "colour", "b", "shape"), X[:, 0]))
        model = small(estimator).fit(numbers, y)
        with pytest.raises(ValueError, match="X has columns of text: 'colour', 'shape'"):
            model.predict(frame)
        with pytest.raises(ValueError, match=r"In the validation set .* columns of text: 'colour', 'shape'"):
            small(estimator).fit(numbers, y, X_val=frame, y_val=y)

    def test_text_is_found_behind_a_missing_value_or_a_date(self):
        pandas = pytest.importorskip("pandas")
        X, y = problem(BackpropClassifier)
        n, date = len(y) - 1, pandas.Timestamp("2020-01-01")
        for first in (pandas.NA, None, np.nan, date):
            columns = {"colour": [first, *["red"] * n], "number": [pandas.NA, *["1"] * n], "date": [date] * (n + 1)}
            frame = pandas.DataFrame({"a": X[:, 0], **columns}, dtype=object)
            with pytest.raises((ValueError, TypeError), match=r"X has columns of text: 'colour'\. "):
                small(BackpropClassifier).fit(frame, y)

    def test_an_error_of_a_frame_without_text_stays_as_it_is(self):
        X, y = problem(BackpropClassifier)
        frame = self.frame("pandas", X)
        frame.iloc[0, 0] = np.nan
        with pytest.raises(ValueError, match="contains NaN") as caught:
            small(BackpropClassifier).fit(frame, y)
        assert "of text" not in str(caught.value)

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
        assert assert_as_scikit_learn(estimator, frame, y, X) == ""  # predict warns that X has no names
        assert assert_as_scikit_learn(estimator, X, y, frame) == ""  # predict warns that only frame has names
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
        assert assert_as_scikit_learn(estimator, frame.assign(column=missing).rename(columns=str), y)
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
