"""A table may have columns of every kind, and sizes of every kind."""

import datetime
import time

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse

from fastbp import TabularClassifier, TabularRegressor
from fastbp.tabular import base
from support.fits import output
from support.tabular import bits, both, networks, numbers, problem, small, table, target

N = 80
RNG = np.random.default_rng(1)
FLAGS = RNG.random(N) < 0.5
WIDTHS = FLAGS + 0.3 * RNG.random(N)
GONE = RNG.random(N) < 0.1
DAYS = [datetime.datetime(2022 if flag else 2020, 1 + i % 12, 1 + i % 28, i % 24) for i, flag in enumerate(FLAGS)]
TEXT = np.where(FLAGS, "red", "green").astype(object)
# COLUMNS: columns of N values from which FLAGS can be read, except where a value is missing.
COLUMNS = {
    "numbers": pd.Series(WIDTHS),
    "float32": pd.Series(WIDTHS.astype(np.float32)),
    "integers": pd.Series(3 * FLAGS + RNG.integers(0, 2, N)),
    "nullable integers": pd.Series(FLAGS.astype(int)).astype("Int64").mask(GONE),
    "nullable floats": pd.Series(WIDTHS).astype("Float64").mask(GONE),
    "nullable booleans": pd.Series(FLAGS).astype("boolean").mask(GONE),
    "booleans": pd.Series(FLAGS),
    "numbers of Arrow": pd.Series(WIDTHS).astype("double[pyarrow]").mask(GONE),
    "text of Arrow": pd.Series(TEXT).astype("string[pyarrow]").mask(GONE),
    "categories": pd.Series(TEXT).astype("category").mask(GONE),
    "text": pd.Series(TEXT).mask(GONE),
    "numbers as text": pd.Series([f"{x:.3f}" for x in WIDTHS]).mask(GONE),
    "dates": pd.Series(DAYS).mask(GONE),
    "dates with a zone": pd.Series(DAYS).dt.tz_localize("Europe/Berlin").mask(GONE),
    "dates as text": pd.Series([day.isoformat(" ") for day in DAYS]).mask(GONE),
    "time spans": pd.Series(pd.to_timedelta(WIDTHS, unit="h")).mask(GONE),
    "mixed objects": pd.Series([(1, 2.5)[i % 2] if flag else (None, "a")[i % 2] for i, flag in enumerate(FLAGS)]),
    "what is missing": pd.Series(np.where(FLAGS, np.nan, 7.0)),
    "large ids": pd.Series(10**17 + 1000 * FLAGS + np.arange(N)),
    "huge numbers": pd.Series(1e299 * WIDTHS),
    "tiny numbers": pd.Series(1e-280 * WIDTHS),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_of_any_kind_decides_the_predictions(name):
    column = COLUMNS[name]
    X = pd.DataFrame({"x": column, "noise": np.arange(N) % 7})
    model = small(TabularClassifier).fit(X, FLAGS)
    seen = ~X["x"].isna().to_numpy() | (name in ("what is missing", "mixed objects"))
    assert model.score(X[seen], FLAGS[seen]) > 0.95
    alone = small(TabularRegressor).fit(X[["x"]], FLAGS.astype(float))
    assert alone.score(X[["x"]][seen], FLAGS[seen]) > 0.5


NO_HELP = {
    "no value": pd.Series([np.nan] * 60),
    "no value of objects": pd.Series([None] * 60, dtype=object),
    "one value": pd.Series([3] * 60),
    "one text": pd.Series(["a"] * 60),
    "ids of text": pd.Series([f"user {i}" for i in range(60)]),
}


@both
def test_columns_that_cannot_help_change_no_bit_and_may_be_missing_from_a_prediction(kind):
    X, y = problem(kind)
    expected = small(kind).fit(X, y)
    model = small(kind).fit(X.assign(**NO_HELP), y)
    assert bits(model) == bits(expected)
    assert set(model.dropped_columns_) == set(NO_HELP)
    assert set(model.column_kinds_) == {"size", "rooms", "city"}
    assert_array_equal(output(model, X), output(expected, X))


@pytest.mark.parametrize("name", NO_HELP)
@both
def test_a_table_without_a_column_that_helps_warns_and_the_best_constant_is_predicted(kind, name):
    X, y = pd.DataFrame({name: NO_HELP[name]}), problem(kind)[1]
    model = small(kind)
    with pytest.warns(UserWarning, match=r"X must have a column that helps .* The predictions do not depend on X\.$"):
        model.fit(X, y)
    assert model.networks_ == model.encoders_ == model.candidates_ == []
    assert list(model.dropped_columns_) == [name]
    assert model.column_kinds_ == {}
    expected = [[np.mean(y == "no"), np.mean(y == "yes")]] if kind is TabularClassifier else [y.mean()]
    np.testing.assert_allclose(output(model, X[:7]), np.repeat(expected, 7, axis=0))
    assert len(model.predict(pd.DataFrame({"other": [1, 2]}))) == 2  # no column is needed
    assert model.n_features_in_ == 1


@both
def test_the_library_of_the_table_changes_no_bit(kind):
    X, y = problem(kind)
    model = small(kind).fit(X, y)
    for form in (pl.from_pandas(X), pa.Table.from_pandas(X), X.to_numpy(object), X.to_numpy(object).tolist()):
        other = small(kind).fit(form, y)
        assert bits(other) == bits(model), type(form)
        assert_array_equal(output(other, form), output(model, X))
    assert_array_equal(output(model, pl.from_pandas(X)), output(model, X))


@pytest.mark.parametrize("limit", [("ROWS", 7), ("ELEMENTS", 300)])
@both
def test_a_prediction_in_parts_has_the_same_bits(kind, limit, monkeypatch):
    X, y = problem(kind)
    model = small(kind, n_networks=2).fit(X, y)
    expected = output(model, X)
    monkeypatch.setattr(base, *limit)
    for form in (X, pl.from_pandas(X), pa.Table.from_pandas(X)):
        assert_array_equal(output(model, form), expected)
    arrays = small(kind, n_networks=2).fit(X.to_numpy(object), y)
    for form in (X.to_numpy(object), X.to_numpy(object).tolist()):
        assert_array_equal(output(arrays, form), expected)


@both
def test_columns_are_taken_by_name_and_further_ones_are_ignored(kind):
    X, y = problem(kind)
    model = small(kind).fit(X, y)
    assert_array_equal(output(model, X[["city", "rooms", "size"]].assign(more=1)), output(model, X))
    assert model.feature_names_in_.tolist() == ["size", "rooms", "city"]


@both
def test_unseen_categories_and_missing_values_can_be_predicted(kind):
    X, y = problem(kind)
    model = small(kind).fit(X, y)
    new = X.assign(city="Bern", size=np.where(np.arange(60) % 2, np.nan, 1e300), rooms=None)
    assert np.isfinite(output(model, new)).all()


class TestErrors:
    @both
    def test_of_a_missing_column_name_it(self, kind):
        X, y = problem(kind)
        with pytest.raises(ValueError, match=r"^X must have the columns .* missing: 'rooms', 'city'\.$"):
            small(kind).fit(X, y).predict(X[["size"]])

    @pytest.mark.parametrize("number", [np.inf, -np.inf, 1e301])
    @both
    def test_of_infinite_numbers_name_the_column_and_the_row(self, kind, number):
        X, y = problem(kind)
        bad = X.assign(size=np.where(np.arange(60) == 3, number, X["size"]))
        with pytest.raises(ValueError, match=r"column 'size' must hold finite numbers .* in row 3"):
            small(kind).fit(bad, y)
        with pytest.raises(ValueError, match=r"column 'size' must hold finite numbers .* in row 3"):
            small(kind).fit(X, y).predict(bad)

    @pytest.mark.parametrize(
        ("change", "error", "said"),
        [
            (lambda X: X["size"], ValueError, "2-dimensional"),
            (lambda X: X["size"].to_numpy(), ValueError, "Expected 2D array"),
            (lambda X: X[:0], ValueError, r"0 sample\(s\)|inconsistent numbers"),
            (lambda X: X[[]], ValueError, r"0 feature\(s\)"),
            (lambda X: np.empty((60, 0)), ValueError, r"0 feature\(s\)"),
            (lambda X: X[:-1], ValueError, "inconsistent numbers of samples"),
            (lambda X: X.set_axis(["a", "a", "b"], axis=1), ValueError, "several are named 'a'"),
            (lambda X: X.set_axis(["a", 1, "b"], axis=1), TypeError, "Feature names are only supported"),
            (lambda X: sparse.csr_matrix(X[["size"]]), TypeError, "Sparse data was passed for X"),
            (lambda X: X[["size"]].to_numpy() + 1j, ValueError, "Complex data not supported"),
            (lambda X: pl.from_pandas(X).lazy(), TypeError, "LazyFrame"),
        ],
    )
    @both
    def test_of_something_that_is_not_a_table(self, kind, change, error, said):
        X, y = problem(kind)
        with pytest.raises(error, match=said):
            small(kind).fit(change(X), y)

    @both
    def test_of_a_collection_of_dask_say_what_to_do(self, kind):
        dask = pytest.importorskip("dask.array")
        X, y = dask.zeros((60, 2)), problem(kind)[1]
        with pytest.raises(TypeError, match=r"X must be a table in memory, got Array of Dask\. .*X\.compute\(\)"):
            small(kind).fit(X, y)

    @both
    def test_of_a_prediction_for_no_rows(self, kind):
        X, y = problem(kind)
        with pytest.raises(ValueError, match=r"0 sample\(s\)"):
            small(kind).fit(X, y).predict(X[:0])
        constant = small(kind).fit(X, np.repeat(y[:1], 60))
        with pytest.raises(ValueError, match=r"0 sample\(s\)"):
            constant.predict(X[:0])


class TestSizes:
    @pytest.mark.parametrize("n", [2, 3, 4, 5])
    @both
    def test_few_rows_are_enough(self, kind, n):
        X = table(n)
        y = numbers(X) if kind is TabularRegressor else np.arange(n)
        model = small(kind, n_networks=2).fit(X, y)
        assert len(networks(model)) == 2
        assert np.isfinite(output(model, table())).all()

    @both
    def test_one_row_is_predicted_for_all(self, kind):
        X, y = problem(kind, 1)
        with pytest.warns(UserWarning, match="got none in 1 sample"):
            model = small(kind).fit(X, y)
        assert_array_equal(model.predict(table()), np.repeat(y, 60))

    @both
    def test_duplicated_rows_have_the_same_prediction(self, kind):
        X, y = problem(kind)
        X, y = pd.concat([X] * 3, ignore_index=True), np.tile(y, 3)
        found = output(small(kind).fit(X, y), X)
        assert_array_equal(found[:60], found[60:120])

    def test_a_column_may_have_7500_categories(self):
        rng = np.random.default_rng(0)
        codes = rng.integers(0, 7500, 15_000)
        means = rng.normal(size=7500)
        X = pd.DataFrame({"id of shop": [f"shop {code}" for code in codes], "size": rng.normal(size=15_000)})
        model = small(TabularRegressor).fit(X, means[codes] + 0.1 * rng.normal(size=15_000))
        assert networks(model)[0].n_features_in_ < 100
        new = pd.DataFrame({"id of shop": [f"shop {code}" for code in range(7500)], "size": 0.0})
        assert np.corrcoef(model.predict(new), means)[0, 1] > 0.5

    def test_two_thousand_columns_of_a_hundred_rows_take_seconds(self):
        X = np.random.default_rng(0).normal(size=(100, 2000))
        begin = time.perf_counter()
        model = small(TabularClassifier).fit(X, X[:, 0] > 0)
        assert time.perf_counter() - begin < 30  # it takes about a second on a machine that does nothing else
        assert networks(model)[0].n_features_in_ < 10_000

    @both
    def test_a_wide_table_of_text_is_sparse_when_encoded(self, kind, monkeypatch):
        y, rng = problem(kind)[1], np.random.default_rng(0)
        X = pd.DataFrame({f"x{j}": [f"{code}" for code in rng.choice(list("abcdefghij"), 60)] for j in range(80)})
        model = small(kind).fit(X, y, X_val=X[::2], y_val=y[::2])
        assert model.encoders_[0].is_sparse_
        expected = output(model, X)
        monkeypatch.setattr(base, "ELEMENTS", 4000)
        assert_array_equal(output(model, X), expected)

    @both
    def test_one_column_is_enough(self, kind):
        X, y = problem(kind)
        assert len(networks(small(kind).fit(X[["size"]], y))) == 1


def test_declared_categories_are_not_numbers():
    X, y = problem(TabularClassifier)
    model = small(TabularClassifier, categorical_features=["rooms"]).fit(X, y)
    assert model.column_kinds_ == {"size": "numbers", "rooms": "categories", "city": "categories"}
    assert "rooms_3" in model.encoders_[0].get_feature_names_out()
    with pytest.raises(ValueError, match="categorical_features must be names of columns of X, but 'floors' is not"):
        model.set_params(categorical_features=["floors"]).fit(X, y)


@both
def test_a_fit_changes_neither_the_table_nor_the_target(kind):
    X, y = problem(kind)
    before = X.copy(deep=True)
    y.flags.writeable = False
    small(kind).fit(X, y, X_val=X[:9], y_val=y[:9])
    pd.testing.assert_frame_equal(X, before)
    assert_array_equal(y, target(kind, X))
