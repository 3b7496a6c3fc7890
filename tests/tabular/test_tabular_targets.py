"""Classes may have labels of every kind, and numbers may have every scale. Wrong targets are errors in clear words."""

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from fastbp import TabularClassifier, TabularRegressor
from support.tabular import bits, networks, numbers, problem, small, table

X, Y = problem(TabularRegressor)
TEXT = problem(TabularClassifier)[1]
FLAGS = TEXT == "yes"
CODES = np.arange(60) % 3
ROW_3 = np.arange(60) == 3

# LABELS: labels in many forms, and the classes that they have.
LABELS = {
    "text": (TEXT, ["no", "yes"]),
    "a list of text": (TEXT.tolist(), ["no", "yes"]),
    "objects of text": (TEXT.astype(object), ["no", "yes"]),
    "categories of pandas": (pd.Series(TEXT).astype("category"), ["no", "yes"]),
    "a Categorical": (pd.Categorical(TEXT, categories=["yes", "no", "never"]), ["no", "yes"]),
    "text of pandas": (pd.Series(TEXT).astype("string"), ["no", "yes"]),
    "text of Arrow": (pd.Series(TEXT).astype("string[pyarrow]"), ["no", "yes"]),
    "text of polars": (pl.Series(TEXT), ["no", "yes"]),
    "categories of polars": (pl.Series(TEXT).cast(pl.Categorical), ["no", "yes"]),
    "an Enum of polars": (pl.Series(TEXT, dtype=pl.Enum(["yes", "no"])), ["no", "yes"]),
    "an array of pyarrow": (pa.array(TEXT.tolist()), ["no", "yes"]),
    "chunks of pyarrow": (pa.chunked_array([TEXT[:9].tolist(), TEXT[9:].tolist()]), ["no", "yes"]),
    "booleans": (FLAGS, [False, True]),
    "objects of booleans": (FLAGS.astype(object), [False, True]),
    "nullable booleans": (pd.Series(FLAGS).astype("boolean"), [False, True]),
    "booleans of polars": (pl.Series(FLAGS), [False, True]),
    "integers": (CODES, [0, 1, 2]),
    "objects of integers": (CODES.astype(object), [0, 1, 2]),
    "nullable integers": (pd.Series(CODES).astype("Int64"), [0, 1, 2]),
    "integers of Arrow": (pd.Series(CODES).astype("int64[pyarrow]"), [0, 1, 2]),
    "large integers": (10**17 + CODES, [10**17, 10**17 + 1, 10**17 + 2]),
    "integers of two types": ([2**63 + 1, 2] * 30, [2, 2**63 + 1]),
    "floats": (np.where(FLAGS, 2.0, 1.0), [1.0, 2.0]),
    "dates": (np.where(FLAGS, np.datetime64("2024-01-02"), np.datetime64("2024-01-01")), None),
    "one class": (["only"] * 60, ["only"]),
}


if hasattr(np.dtypes, "StringDType"):  # since NumPy 2
    LABELS["text of NumPy"] = (TEXT.astype(np.dtypes.StringDType()), ["no", "yes"])


@pytest.mark.parametrize("name", LABELS)
def test_labels_of_any_kind_are_predicted_as_they_were_given(name):
    y, classes = LABELS[name]
    model = small(TabularClassifier).fit(X, y)
    if classes is not None:
        assert model.classes_.tolist() == classes
        assert {type(label) for label in model.classes_.tolist()} == {type(label) for label in classes}
    assert model.predict(X).dtype == model.classes_.dtype
    p = model.predict_proba(X)
    assert p.shape == (60, len(model.classes_))
    assert p.dtype == np.float64
    assert_allclose(p.sum(axis=1), 1, rtol=1e-6)
    assert len(networks(model)) == (len(model.classes_) > 1)


def test_the_form_of_the_labels_changes_no_bit():
    expected = bits(small(TabularClassifier).fit(X, TEXT))
    for y, classes in LABELS.values():
        if classes in (["no", "yes"], [False, True]):
            assert bits(small(TabularClassifier).fit(X, y)) == expected


def test_one_class_is_predicted_without_networks():
    model = small(TabularClassifier).fit(X, ["only"] * 60)
    assert model.networks_ == model.encoders_ == []
    assert_array_equal(model.predict_proba(X[["city", "size"]]), np.ones((60, 1)))  # no column is needed


def test_a_class_of_a_single_example_is_a_class():
    model = small(TabularClassifier, n_networks=2).fit(X, ROW_3)
    assert model.predict_proba(X)[:, 1].mean() < 0.5
    assert {network.classes_.tolist() == [False, True] for network in networks(model)} == {True}


def test_300_classes_are_classes_also_for_the_encoders():
    many = table(900).assign(shop=[f"shop {i % 90}" for i in range(900)])
    model = small(TabularClassifier).fit(many, np.arange(900) % 300)
    assert model.predict_proba(many).shape == (900, 300)
    assert model.encoders_[0].target_type == "multiclass"


@pytest.mark.parametrize("n_classes", [40, 20])
def test_a_warning_of_many_classes_comes_once_for_y_and_once_for_y_val(n_classes):
    y = np.arange(60) % n_classes
    with pytest.warns(UserWarning, match="The number of unique classes is greater than 50%") as caught:
        small(TabularClassifier, n_networks=2).fit(X, y, X_val=X[:25], y_val=y[:25])
    assert len(caught) == (2 if n_classes == 40 else 1)


def test_rare_classes_stay_rare():
    many = table(600)
    y = np.arange(600) < 6
    p = small(TabularClassifier).fit(many, y).predict_proba(many)[:, 1]
    assert 0 < p.mean() < 0.1


def test_log_probabilities_are_the_logarithms_of_the_probabilities():
    model = small(TabularClassifier).fit(X, TEXT)
    assert_array_equal(model.predict_log_proba(X), np.log(model.predict_proba(X)))
    one = small(TabularClassifier, class_weight={"no": 0.0}).fit(pd.DataFrame({"one": [1] * 59 + [2]}), TEXT)
    assert np.isfinite(one.predict_proba(pd.DataFrame({"one": [1, 2]}))).all()


TUPLES = np.empty(60, object)
TUPLES[:] = [(1, 2), (3, 4)] * 30
WRONG_LABELS = {
    "None": (np.where(ROW_3, None, TEXT), "missing labels, such as None in row 3"),
    "NaN in text": (pd.Series(TEXT).mask(ROW_3), "missing labels, such as nan in row 3"),
    "NaN in a list": (["a", "b", float("nan")] * 20, "missing labels, such as nan in row 2"),
    "NA of integers": (pd.Series(CODES).astype("Int64").mask(ROW_3), "Input y contains (NaN|missing labels)"),
    "NA of booleans": (pd.Series(FLAGS).astype("boolean").mask(ROW_3), "missing labels, such as <NA> in row 3"),
    "NA of text": (pd.Series(TEXT).astype("string").mask(ROW_3), "missing labels, such as <NA> in row 3"),
    "NaN of categories": (pd.Series(TEXT).astype("category").mask(ROW_3), "missing labels, such as nan in row 3"),
    "null of polars": (pl.Series([None, "a"] * 30), "missing labels, such as None in row 0"),
    "null integer of polars": (pl.Series([None, 1] * 30), "Input y contains NaN"),
    "null category of polars": (pl.Series([None, "a"] * 30).cast(pl.Categorical), "missing labels, such as None"),
    "NaN": (np.where(ROW_3, np.nan, CODES), "Input y contains NaN"),
    "infinity": (np.where(ROW_3, np.inf, CODES), "Input y contains infinity"),
    "NaT": (np.where(ROW_3, np.datetime64("NaT", "D"), np.datetime64("2024-01-01")), "Input y contains NaT"),
    "text and numbers": (
        np.array(["a", 1] * 30, object),
        "text only, booleans only or numbers only, .* types int, str",
    ),
    "a list of both": (["a", 1] * 30, "text only, booleans only or numbers only, got objects of the types int, str"),
    "booleans and text": (np.array(["a", True] * 30, object), "got objects of the types bool, str"),
    "tuples": (TUPLES, "got objects of the types tuple"),
    "objects of dates": (np.array([datetime.date(2024, 1, 1)] * 60, object), "types date. Turn all labels into text"),
    "real numbers": (Y, "Unknown label type: continuous"),
    "several columns": (np.column_stack([CODES, CODES]), "y should be a 1d array"),
    "too few": (TEXT[1:], "inconsistent numbers of samples"),
    "nothing": (None, "requires y to be passed, but the target y is None"),
}


@pytest.mark.parametrize("name", WRONG_LABELS)
def test_wrong_labels_are_errors(name):
    y, said = WRONG_LABELS[name]
    with pytest.raises(ValueError, match=said):
        small(TabularClassifier).fit(X, y)


@pytest.mark.parametrize("y", [sparse.csr_matrix(CODES[:, np.newaxis]), TEXT.astype("S")])
def test_sparse_labels_and_bytes_are_errors(y):
    with pytest.raises(TypeError, match=r"Sparse data was passed for y|labels represented as bytes"):
        small(TabularClassifier).fit(X, y)


HEAVY = np.random.default_rng(0).standard_cauchy(60) ** 5
NUMBERS = {
    "huge": 1e30 * Y,
    "tiny": 1e-30 * Y,
    "close to the largest float": 1e307 * Y,
    "close to the least float": 1e-300 * Y,
    "heavy tails": HEAVY,
    "far from 0": 1e12 + Y,
    "integers": CODES,
    "large integers": np.uint64(2**63) + 2**50 * np.arange(60, dtype=np.uint64),
    "booleans": FLAGS,
    "float32": Y.astype(np.float32),
    "float16": Y.astype(np.float16),
    "objects": Y.astype(object),
    "a Series of pandas": pd.Series(CODES).astype("Int64"),
    "a Series of polars": pl.Series(Y),
    "an array of pyarrow": pa.array(Y),
    "two outputs": np.column_stack([1e20 * Y, 1e-20 * Y**2]),
    "one constant output": np.column_stack([Y, np.full(60, 0.1)]),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_predictions_are_float64_and_stay_within_the_range_of_y(name):
    y = np.asarray(NUMBERS[name], dtype=np.float64)
    model = small(TabularRegressor).fit(X, NUMBERS[name])
    for new in (X, X.assign(size=1e300)):
        found = model.predict(new)
        assert found.dtype == np.float64
        assert found.shape == y.shape
        assert (found >= y.min(axis=0)).all()
        assert (found <= y.max(axis=0)).all()
    if name != "one constant output":
        assert (np.ptp(model.predict(X), axis=0) > 0).all()


@pytest.mark.parametrize("scale", [2.0**100, 2.0**-100, 2.0**900, -(2.0**-900)])
def test_a_scale_of_y_scales_the_predictions(scale):
    expected = small(TabularRegressor).fit(X, Y)
    for clip in (True, False):
        model = small(TabularRegressor, clip=clip).fit(X, scale * Y)
        if scale > 0:
            assert bits(model) == bits(expected)
            assert_array_equal(model.predict(X) / scale, expected.set_params(clip=clip).predict(X))
        else:
            assert np.isfinite(model.predict(X)).all()


def test_without_clip_predictions_may_leave_the_range():
    model = small(TabularRegressor).fit(X, Y)
    networks(model)[0].intercepts_[-1] += 100.0
    assert_array_equal(model.predict(X), np.full(60, Y.max()))
    assert (model.set_params(clip=False).predict(X) > Y.max()).all()


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "quantile", "poisson", "gamma"])
@pytest.mark.parametrize("y", [np.full(60, 0.1), np.full(60, 7), np.full((60, 2), [0.1, 1e30])])
def test_a_constant_is_predicted_without_networks(loss, y):
    model = small(TabularRegressor, loss=loss).fit(X, y)
    assert networks(model) == []
    assert_array_equal(model.predict(X), y)
    assert_allclose(model.set_params(clip=False).predict(X), y, rtol=1e-15)


@pytest.mark.parametrize("loss", ["poisson", "gamma"])
def test_means_of_positive_losses_are_positive(loss):
    y = np.exp(Y) * 1e-20
    model = small(TabularRegressor, loss=loss, clip=False).fit(X, y)
    assert (model.predict(X) > 0).all()
    assert model.score(X, y) > 0.2


@pytest.mark.parametrize(
    ("loss", "y", "said"),
    [
        ("poisson", -Y, "loss='poisson' needs y >= 0, but the least y is -"),
        ("gamma", np.maximum(Y, 0), r"loss='gamma' needs y > 0, but the least y is 0\.0"),
        ("squared_error", np.where(ROW_3, np.nan, Y), "Input y contains NaN"),
        ("squared_error", np.where(ROW_3, np.inf, Y), "Input y contains infinity"),
        ("squared_error", pd.Series(Y).astype("Float64").mask(ROW_3), "Input y contains NaN"),
        ("squared_error", pl.Series([None, 1.0] * 30), "Input y contains NaN"),
        ("squared_error", TEXT, "could not convert string to float"),
        (
            "squared_error",
            np.datetime64("2024-01-01") + np.arange(60).astype("timedelta64[D]"),
            r"y must be numbers, got dtype datetime64\[D\]",
        ),
        ("squared_error", pd.Series(pd.to_timedelta(CODES, unit="s")), "y must be numbers, got dtype timedelta64"),
        ("squared_error", Y + 1j, "Complex data not supported"),
        ("squared_error", Y[:, np.newaxis, np.newaxis], "dim 3"),
        ("squared_error", np.empty((60, 0)), r"0 feature\(s\)"),
        ("squared_error", None, "requires y to be passed, but the target y is None"),
    ],
)
def test_wrong_numbers_are_errors(loss, y, said):
    with pytest.raises(ValueError, match=said):
        small(TabularRegressor, loss=loss).fit(X, y)


class TestQuantiles:
    @pytest.mark.parametrize("clip", [True, False])
    def test_are_in_order(self, clip):
        model = small(TabularRegressor, loss="quantile", quantile=(0.05, 0.5, 0.95), clip=clip).fit(X, Y)
        found = model.predict(X)
        assert found.shape == (60, 3)
        assert (np.diff(found, axis=1) >= 0).all()
        assert model.score(X, Y) < 1

    def test_of_a_constant_are_this_constant(self):
        model = small(TabularRegressor, loss="quantile", quantile=(0.1, 0.9)).fit(X, np.ones(60))
        assert_array_equal(model.predict(X), np.ones((60, 2)))

    def test_do_not_depend_on_X_if_no_column_helps(self):
        with pytest.warns(UserWarning, match="do not depend on X"):
            model = small(TabularRegressor, loss="quantile", quantile=(0.1, 0.9)).fit(np.ones((60, 1)), Y)
        assert_allclose(model.predict([[2.0]]), [np.quantile(Y, [0.1, 0.9], method="inverted_cdf")], atol=0.2)

    @pytest.mark.parametrize(
        ("quantile", "y", "said"),
        [
            ((0.9, 0.1), Y, r"in increasing order, got \(0\.9, 0\.1\)"),
            ((0, 0.5), Y, "quantile must be a number between 0 and 1"),
            ([], Y, "quantile must be a number between 0 and 1"),
            (2.0, Y, "'quantile' parameter of TabularRegressor"),
            ((0.1, 0.9), np.column_stack([Y, Y]), "y must have one column for several quantiles"),
        ],
    )
    def test_that_are_wrong_are_errors(self, quantile, y, said):
        with pytest.raises(ValueError, match=said):
            small(TabularRegressor, loss="quantile", quantile=quantile).fit(X, y)


def test_integers_are_numbers_also_for_the_encoders():
    many = table(300).assign(shop=[f"shop {i % 60}" for i in range(300)])
    model = small(TabularRegressor).fit(many, np.round(numbers(many)).astype(int))
    names = model.encoders_[0].get_feature_names_out().tolist()
    assert [name for name in names if "target" in name] == ["shop_target"]
