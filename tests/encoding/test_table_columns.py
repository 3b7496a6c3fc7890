"""Which columns are read as what, which are left out, and which are refused."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_array_equal

from fastbp import TableEncoder

N = 100
X = np.random.default_rng(0).normal(size=N)


def fitted(**columns):
    return TableEncoder().fit(pd.DataFrame({"x": X, **columns}))


class TestLeftOut:
    @pytest.mark.parametrize(
        ("values", "reason"),
        [
            ([None] * N, "no value"),
            ([np.nan] * N, "no value"),
            (pd.Series([pd.NA] * N, dtype="Int64"), "no value"),
            ([pd.NaT] * N, "no value"),
            ([3.5] * N, "one value throughout"),
            ([10**17] * N, "one value throughout"),
            ([True] * N, "one value throughout"),
            (["a"] * N, "one value throughout"),
            (pd.Categorical(["a"] * N, ["a", "b"]), "one value throughout"),
            ([f"name {i}" for i in range(N)], "an id: almost all values are different"),
            ([f"name {min(i, 95)}" for i in range(N)], "an id: almost all values are different"),
            ([f"name {i // 2}" for i in range(N)], "every category is rare"),
        ],
    )
    def test_are_columns_that_cannot_help_with_the_reason(self, values, reason):
        encoder = fitted(column=values)
        assert encoder.dropped_columns_ == {"column": reason}
        assert_array_equal(
            encoder.transform(pd.DataFrame({"x": X})), TableEncoder().fit_transform(pd.DataFrame({"x": X}))
        )

    @pytest.mark.parametrize(
        "name",
        [
            "id",
            "ID",
            "customer_id",
            "CustomerId",
            "PassengerID",
            "user id",
            "uuid",
            "order-key",
            "Unnamed: 0",
            "index",
            "RowNumber",
        ],
    )
    def test_are_different_integers_of_such_names(self, name):
        for start in (0, 10**17):
            assert fitted(**{name: start + np.arange(N)[::-1]}).dropped_columns_ == {
                name: "an id: different integers in a column whose name is that of ids"
            }
        assert TableEncoder(drop_ids=False).fit(pd.DataFrame({name: np.arange(N)})).dropped_columns_ == {}
        assert fitted(**{name: np.arange(N) // 2}).dropped_columns_ == {}
        assert fitted(**{name: np.arange(N) + 0.5}).dropped_columns_ == {}

    @pytest.mark.parametrize("name", ["price", "paid", "valid", "idle", "grid", "keys of", "year"])
    def test_are_not_different_integers_of_other_names(self, name):
        assert fitted(**{name: np.arange(N)}).dropped_columns_ == {}

    def test_are_not_few_values_that_are_different(self):
        assert TableEncoder().fit([["a"], ["b"], ["c"]]).dropped_columns_ == {}

    @pytest.mark.parametrize("values", [[None, "a"], [np.nan, 3.5], [None, True], [pd.NaT, pd.Timestamp("2024-01-01")]])
    def test_are_not_columns_of_one_value_and_missing_ones(self, values):
        encoder = TableEncoder().fit(pd.DataFrame({"a": values * 20}))
        assert encoder.get_feature_names_out().tolist() == ["a_missing"]
        assert_array_equal(encoder.transform(pd.DataFrame({"a": values})), [[1], [0]])

    @pytest.mark.parametrize(
        ("table", "said"),
        [
            ([[1.0, "a"]], "got none in 1 sample ('x0': one value throughout; 'x1': one value throughout)"),
            ([[1.0]] * 30, "got none in 30 samples ('x0': one value throughout)"),
            ([[None]] * 30, "got none in 30 samples ('x0': no value)"),
            ([[f"name {i}"] for i in range(30)], "('x0': an id: almost all values are different)"),
        ],
    )
    def test_cannot_be_all_columns(self, table, said):
        with pytest.raises(ValueError, match="X must have a column that helps to predict") as caught:
            TableEncoder().fit(table)
        assert said in str(caught.value)


class TestText:
    @pytest.mark.parametrize(
        ("texts", "kind"),
        [
            (["1", "2.5", "-3e2", "+4", ".5", " 6 "], "numbers"),
            (["1", "2", "3"], "numbers"),
            (["02139", "10001", "94105"], "categories"),
            (["0", "0.5", "10"], "numbers"),
            (["1", "2", "x"], "categories"),
            (["1_000", "2_000"], "categories"),
            (["nan", "inf"], "categories"),
            (["12:30", "13:45"], "categories"),
            (["version 1.2.3", "version 2.2.3"], "categories"),
            (["2024-01-01", "2024-02-01"], "dates"),
            (["True", "False"], "categories"),
            (["", "a"], "categories"),
        ],
    )
    def test_holds_numbers_or_dates_or_categories(self, texts, kind):
        assert fitted(column=(texts * N)[:N]).column_kinds_["column"] == kind

    def test_of_numbers_counts_others_as_missing_if_they_are_few(self):
        texts = [str(i) for i in range(N - 3)] + [" ", "?", "n/a"]
        numbers = [*range(N - 3), None, None, None]
        encoder = fitted(column=texts)
        assert encoder.column_kinds_["column"] == "numbers"
        frame = pd.DataFrame({"x": X, "column": texts})
        expected = TableEncoder().fit_transform(pd.DataFrame({"x": X, "column": numbers}))
        assert_array_equal(encoder.transform(frame), expected)
        one = encoder.transform(pd.DataFrame({"x": [0.0], "column": ["unknown"]}))
        assert_array_equal(one, encoder.transform(pd.DataFrame({"x": [0.0], "column": [None]})))

    def test_of_numbers_and_others_lets_dates_count_as_missing_too(self):
        encoder = fitted(column=[*map(str, range(N - 1)), "?"])
        found = encoder.transform(pd.DataFrame({"x": X, "column": pd.date_range("2024-01-01", periods=N)}))
        assert_array_equal(found, encoder.transform(pd.DataFrame({"x": X, "column": [None] * N})))

    def test_of_numbers_keeps_the_digits_of_large_integers(self):
        start = 10**17
        encoder = fitted(column=[str(start + i % 50) for i in range(N)])
        expected = fitted(column=[start + i % 50 for i in range(N)])
        frame = pd.DataFrame({"x": X, "column": start + np.arange(N) % 50})
        assert_array_equal(encoder.transform(frame.astype({"column": str})), expected.transform(frame))
        assert_array_equal(encoder.transform(frame), expected.transform(frame))

    def test_is_an_error_where_the_fit_had_numbers_only(self):
        said = "column 'column' must hold numbers, as in the fit, got 'abc' in row 2"
        for values in (np.arange(N), [str(i) for i in range(N)], pd.Categorical(list(range(N)))):
            encoder = TableEncoder(categorical_features=None).fit(pd.DataFrame({"x": X, "column": values}))
            with pytest.raises(ValueError, match=said):
                encoder.transform(pd.DataFrame({"x": X[:3], "column": ["1", None, "abc"]}))


class TestInfinity:
    @pytest.mark.parametrize("value", [np.inf, -np.inf, 1e301, "1e999"])
    @pytest.mark.parametrize("in_fit", [True, False])
    def test_is_an_error_that_names_the_column(self, value, in_fit):
        values = [1.0, 2.0, 3.0, 4.0] * 10
        good = pd.DataFrame({"x": values, "income": values})
        bad = pd.DataFrame({"x": values, "income": pd.Series([*values[:-1], value], dtype=object)})
        if isinstance(value, str):
            bad["income"] = bad["income"].astype(str)
        said = r"column 'income' must hold finite numbers between -1e\+300 and 1e\+300, got .* in row 39"
        with pytest.raises(ValueError, match=said):
            TableEncoder().fit(bad) if in_fit else TableEncoder().fit(good).transform(bad)

    def test_of_an_array_names_the_position(self):
        X = np.arange(12.0).reshape(4, 3)
        X[2, 1] = np.inf
        with pytest.raises(ValueError, match="column 'x1' must hold finite numbers"):
            TableEncoder().fit(X)

    def test_is_a_number_of_python_too_large_for_a_float(self):
        with pytest.raises(ValueError, match="column 'x0' must hold finite numbers"):
            TableEncoder().fit([[1], [2], [-(10**400)]])


class TestNames:
    FRAME = pd.DataFrame({"a": X, "b": np.arange(N) % 3, "c": [None, *"xyz", *"xyz" * 32]})

    @pytest.mark.parametrize("library", [pd, pl])
    def test_select_the_columns_in_any_order(self, library):
        frame = self.FRAME if library is pd else pl.from_pandas(self.FRAME)
        encoder = TableEncoder().fit(frame)
        expected = encoder.transform(frame)
        assert_array_equal(encoder.transform(frame[["c", "a", "b"]]), expected)
        more = frame.assign(d=1) if library is pd else frame.with_columns(d=1)
        assert_array_equal(encoder.transform(more), expected)
        with pytest.raises(ValueError, match="X must have the columns of the fit, but columns are missing: 'a', 'c'"):
            encoder.transform(frame[["b"]])

    def test_of_columns_that_were_left_out_may_be_missing(self):
        encoder = TableEncoder().fit(self.FRAME.assign(one=1))
        assert_array_equal(encoder.transform(self.FRAME), TableEncoder().fit_transform(self.FRAME))

    def test_must_be_different(self):
        double = pd.concat([self.FRAME, self.FRAME[["b"]]], axis=1)
        with pytest.raises(ValueError, match="X must have columns of different names, but several are named 'b'"):
            TableEncoder().fit(double)
        with pytest.raises(ValueError, match="several are named 'b'"):
            TableEncoder().fit(self.FRAME).transform(double)

    def test_that_are_no_strings_are_positions(self):
        frame = self.FRAME.set_axis([10, 11, 12], axis=1)
        encoder = TableEncoder().fit(frame)
        assert not hasattr(encoder, "feature_names_in_")
        assert encoder.get_feature_names_out()[0].startswith("x0_")
        assert_array_equal(encoder.transform(frame), TableEncoder().fit_transform(self.FRAME))

    def test_are_needed_at_transform_if_the_fit_had_them(self):
        encoder = TableEncoder().fit(self.FRAME)
        with pytest.warns(UserWarning, match="X does not have valid feature names"):
            found = encoder.transform(self.FRAME.to_numpy(object))
        assert_array_equal(found, encoder.transform(self.FRAME))
        with (
            pytest.raises(ValueError, match="X has 2 features, but TableEncoder is expecting 3"),
            pytest.warns(UserWarning, match="X does not have valid feature names"),
        ):
            encoder.transform(self.FRAME.to_numpy(object)[:, :2])

    def test_of_outputs_are_different_and_lead_back_to_the_columns(self):
        frame = pd.DataFrame({"a": ["b_c", "missing", None, "x"] * 5, "a_b": ["c", "d"] * 10, "a_missing": range(20)})
        encoder = TableEncoder(numbers="scores").fit(frame)
        names = ["a_b_c", "a_missing", "a_x", "a_missing_2", "a_b_c_2", "a_b_d", "a_missing_score"]
        assert encoder.get_feature_names_out().tolist() == names
        assert encoder.source_names_.tolist() == ["a"] * 4 + ["a_b"] * 2 + ["a_missing"]
        assert encoder.source_indices_.tolist() == [0] * 4 + [1] * 2 + [2]
        assert encoder.get_feature_names_out(["a", "a_b", "a_missing"]).tolist() == names
        with pytest.raises(ValueError, match="input_features is not equal to feature_names_in_"):
            encoder.get_feature_names_out(["a", "b", "c"])


@pytest.mark.parametrize(
    ("table", "error", "said"),
    [
        ([1.0, 2.0], ValueError, "Expected 2D array, got 1D array instead"),
        (np.zeros((2, 2, 2)), ValueError, "dim 3"),
        (pd.Series([1.0, 2.0]), ValueError, "Expected a 2-dimensional container|Expected 2D array"),
        (pd.DataFrame({"a": []}), ValueError, r"Found array with 0 sample\(s\)"),
        (pd.DataFrame(index=[1, 2]), ValueError, r"Found array with 0 feature\(s\)"),
        (pl.DataFrame({"a": []}), ValueError, r"Found array with 0 sample\(s\)"),
        (np.zeros((3, 2), "i4,f8"), TypeError, "must hold numbers, categories, text or dates"),
        ("text", ValueError, "Expected 2D array"),
    ],
)
def test_what_is_no_table_is_refused(table, error, said):
    with pytest.raises(error, match=said):
        TableEncoder().fit(table)
