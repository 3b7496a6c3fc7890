"""Columns of numbers, scaled and piecewise linear."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from fastbp import TableEncoder
from fastbp.encoding.numbers import piecewise_linear
from support import encoding

RTOL = {"float32": 2e-6, "float64": 1e-10}
# COLUMNS: values of many forms, by name.
COLUMNS = {
    "normal": lambda rng: rng.normal(size=60),
    "heavy tails": lambda rng: rng.standard_cauchy(size=60) ** 3,
    "mostly zero": lambda rng: np.where(rng.random(60) < 0.8, 0.0, rng.lognormal(size=60)),
    "whole": lambda rng: rng.integers(-20, 20, 60).astype(float),
    "few": lambda rng: rng.integers(0, 4, 60).astype(float),
    "close to each other": lambda rng: 1e9 + rng.random(60),
    "huge": lambda rng: 1e299 * rng.normal(size=60),
    "tiny": lambda rng: 1e-280 * rng.normal(size=60),
}
over_columns = pytest.mark.parametrize("form", COLUMNS)
over_dtypes = pytest.mark.parametrize("dtype", RTOL)


def numbers(form: str) -> np.ndarray:
    return COLUMNS[form](np.random.default_rng(0))


def encoder(**parameters) -> TableEncoder:
    return TableEncoder(**{"n_bins": 6, "dtype": "float64", **parameters})


@over_dtypes
@over_columns
def test_all_encodings_are_those_of_the_obvious_twin(form, dtype):
    values = numbers(form).tolist()
    given = [*values, min(values) * 1.1 - 1, max(values) * 1.1 + 1, sum(values) / len(values)]
    edges = encoding.quantile_edges(values, 6)
    expected = [
        [encoding.scaled(x, values), encoding.interpolated_score(x, values), *encoding.piecewise_linear(x, edges)]
        for x in given
    ]
    fitted = encoder(dtype=dtype).fit(np.array(values)[:, np.newaxis])
    found = fitted.transform(np.array(given)[:, np.newaxis])
    assert found.dtype == dtype
    assert_allclose(found, expected, rtol=RTOL[dtype], atol=RTOL[dtype])
    assert fitted.get_feature_names_out(["a"]).tolist() == [
        "a_scaled",
        "a_score",
        *(f"a_bin{t}" for t in range(1, len(edges))),
    ]


@pytest.mark.parametrize("seed", range(20))
@over_dtypes
def test_the_piecewise_linear_encoding_is_that_of_the_twin_for_random_edges(seed, dtype):
    rng = np.random.default_rng(seed)
    edges = np.unique(np.round(rng.normal(size=rng.integers(2, 12)), 2))
    edges = edges if len(edges) > 1 else np.array([0.0, 1.0])
    x = np.concatenate([edges, rng.normal(size=20), [-1e300, 1e300, np.nextafter(edges[-1], 9), edges[0] - 1e-9]])
    out = np.full((len(x), len(edges) - 1), np.nan, dtype)
    piecewise_linear(x, edges, out)
    assert_allclose(out, [encoding.piecewise_linear(each, edges.tolist()) for each in x], rtol=RTOL[dtype], atol=1e-6)


@over_columns
def test_outputs_are_bounded_whatever_the_numbers_are(form):
    fitted = TableEncoder().fit(numbers(form)[:, np.newaxis])
    found = fitted.transform(np.array([-1e300, -1e20, 0.0, 5e-324, 1e20, 1e300])[:, np.newaxis])
    assert np.isfinite(found).all()
    assert abs(found).max() <= 5


def test_a_component_goes_on_for_the_width_of_one_bin_beyond_the_edges():
    fitted = encoder(numbers="ple").fit([[0.0], [10.0], [30.0]])
    found = fitted.transform([[-5.0], [-10.0], [-100.0], [40.0], [50.0], [500.0]])
    assert_allclose(found, [[-0.5, 0], [-1, 0], [-1, 0], [1, 1.5], [1, 2], [1, 2]])


def test_numbers_below_1e_290_count_as_0():
    X = np.array([0.0, 5e-324, 1e-310, 1.0, 2.0])[:, np.newaxis]
    found = encoder().fit_transform(X)
    assert np.isfinite(found).all()
    assert_array_equal(found[:3], found[[0, 0, 0]])


def test_few_different_numbers_are_all_edges():
    X = np.array([1.0, 1, 1, 4, 9, 9])[:, np.newaxis]
    assert_allclose(encoder(numbers="ple").fit_transform(X), [[0, 0]] * 3 + [[1, 0]] + [[1, 1]] * 2)


class TestMaxDistinct:
    X = np.array([0.0, 1, 2, 3, 4, 5, 6, 7, 8, 9] * 6)[:, np.newaxis]  # ten different numbers

    @pytest.mark.parametrize("edges", ["quantile", "tree"])
    def test_gives_a_column_of_so_few_numbers_an_edge_at_each(self, edges):
        fitted = encoder(numbers="ple", n_bins=3, max_distinct=10, edges=edges).fit(self.X, self.X[:, 0] > 4)
        assert_array_equal(fitted.transform(self.X[:10]), np.tril(np.ones((10, 9)), -1))

    @pytest.mark.parametrize("edges", ["quantile", "tree"])
    def test_changes_nothing_in_a_column_of_more_numbers(self, edges):
        y = self.X[:, 0] > 4
        found = encoder(numbers="ple", n_bins=3, max_distinct=9, edges=edges).fit_transform(self.X, y)
        expected = encoder(numbers="ple", n_bins=3, edges=edges).fit_transform(self.X, y)
        assert_array_equal(found, expected)
        assert found.shape[1] <= 3

    def test_is_one_more_than_the_bins_by_default(self):
        for n_bins in (8, 9):
            plain = encoder(n_bins=n_bins).fit_transform(self.X)
            assert_array_equal(plain, encoder(n_bins=n_bins, max_distinct=n_bins + 1).fit_transform(self.X))
            assert plain.shape[1] == 2 + n_bins

    def test_below_the_bins_leaves_the_choice_to_the_tree(self):
        y = (self.X[:, 0] > 4).astype(float)
        found = encoder(numbers="ple", n_bins=16, max_distinct=2, edges="tree").fit_transform(self.X, y)
        assert found.shape[1] < 9

    @pytest.mark.parametrize("max_distinct", [1, 0, -3, 2.5, "all"])
    def test_that_is_illegal_is_an_error(self, max_distinct):
        with pytest.raises(ValueError, match="'max_distinct' parameter of TableEncoder"):
            encoder(max_distinct=max_distinct).fit(self.X)


def test_a_column_that_is_mostly_zero_has_edges_among_its_other_numbers():
    x = np.concatenate([np.zeros(920), np.arange(1, 81)])[:, np.newaxis]
    fitted = encoder(numbers="ple", n_bins=8).fit(x)
    assert len(fitted.get_feature_names_out()) == 8
    assert len(np.unique(fitted.transform(np.arange(1.0, 81)[:, np.newaxis]), axis=0)) == 80


@pytest.mark.parametrize("chosen", ["ple", "scores", "robust", "ple+scores", "robust+ple", "ple+robust+scores"])
def test_the_parameter_numbers_chooses_the_encodings(chosen):
    X = numbers("normal")[:, np.newaxis]
    every = encoder().fit(X)
    names = every.get_feature_names_out().tolist()
    ends = {"ple": "_bin", "scores": "_score", "robust": "_scaled"}
    wanted = [i for i, name in enumerate(names) if any(ends[each] in name for each in chosen.split("+"))]
    some = encoder(numbers=chosen).fit(X)
    assert some.get_feature_names_out().tolist() == [names[i] for i in wanted]
    assert_array_equal(some.transform(X), every.transform(X)[:, wanted])


@pytest.mark.parametrize("chosen", ["ple", "scores", "robust", "ple+robust+scores"])
@pytest.mark.parametrize("pair", [(0.0, 1.0), (False, True), (-3.5, 7.0), (10**17, 10**17 + 1)])
def test_two_different_numbers_are_one_output_of_0_and_1(chosen, pair):
    X = np.array([pair, pair[::-1]] * 4)
    fitted = encoder(numbers=chosen)
    assert_array_equal(fitted.fit_transform(X), np.array([[0, 1], [1, 0]] * 4))
    assert fitted.get_feature_names_out().tolist() == ["x0", "x1"]


@pytest.mark.parametrize("start", [10**17, -(10**17), 2**63 - 101, -(2**63), 2**64 - 101])
def test_integers_beyond_the_exact_floats_keep_their_last_digits(start):
    dtype = np.uint64 if start >= 2**63 else np.int64
    small = np.arange(100)
    large = np.array([start + int(i) for i in small], dtype)
    assert_array_equal(
        encoder(drop_ids=False).fit_transform(large[:, np.newaxis]),
        encoder(drop_ids=False).fit_transform(small[:, np.newaxis]),
    )


def test_large_integers_of_the_fit_may_be_floats_at_transform():
    large = (10**17 + 1000 * np.arange(100))[:, np.newaxis]
    fitted = encoder().fit(large)
    found = fitted.transform(np.vstack([large.astype(float), [[np.nan]]]))
    assert_allclose(found[:-1], fitted.transform(large), atol=0.02)  # floats of this size differ by 16
    assert_array_equal(found[-1], fitted.transform(large)[49])


def test_integers_at_both_ends_of_their_range_are_in_order():
    limits = np.iinfo(np.int64)
    X = np.array([limits.min, limits.min + 1, 0, limits.max - 1, limits.max])[:, np.newaxis]
    found = encoder(numbers="scores").fit_transform(X)[:, 0]
    assert (np.diff(found) >= 0).all()
    assert found[0] < found[2] < found[-1]


def test_missing_numbers_are_encoded_as_the_median_and_indicated():
    x = np.array([1.0, 2, 3, 4, 5, np.nan, np.nan])[:, np.newaxis]
    fitted = encoder()
    found = fitted.fit_transform(x)
    assert fitted.get_feature_names_out()[-1] == "x0_missing"
    assert_array_equal(found[:, -1], [0, 0, 0, 0, 0, 1, 1])
    assert_array_equal(found[5:, :-1], found[[2, 2], :-1])  # 3 is the median


def test_missing_numbers_that_the_fit_did_not_see_have_no_indicator():
    fitted = encoder().fit(np.arange(1.0, 6)[:, np.newaxis])
    assert_array_equal(fitted.transform([[None], [np.nan]]), fitted.transform([[3.0], [3.0]]))


def test_a_number_and_missing_values_are_indicated_only():
    fitted = encoder()
    assert_array_equal(fitted.fit_transform(np.array([[7.0], [np.nan], [7.0]])), [[0], [1], [0]])
    assert fitted.get_feature_names_out().tolist() == ["x0_missing"]


class TestTreeEdges:
    def test_are_where_the_target_changes(self):
        x = np.random.default_rng(0).random(4000)
        y = np.where(x < 0.2, 0.0, np.where(x < 0.7, 5.0, 1.0))
        fitted = encoder(numbers="ple", edges="tree", n_bins=3).fit(x[:, np.newaxis], y)
        found = fitted.transform([[0.0], [0.1], [0.2], [0.45], [0.7], [1.0]])
        assert_allclose(found, [[0, 0, 0], [0.5, 0, 0], [1, 0, 0], [1, 0.5, 0], [1, 1, 0], [1, 1, 1]], atol=0.01)

    @pytest.mark.parametrize("kind", ["two classes", "300 classes", "numbers", "two numbers"])
    def test_follow_from_any_target(self, kind):
        rng = np.random.default_rng(0)
        x = rng.random(3000)
        y = {
            "two classes": np.where(x > 0.3, "yes", "no"),
            "300 classes": np.where(x > 0.3, rng.integers(0, 150, 3000), rng.integers(150, 300, 3000)),
            "numbers": (x > 0.3) + 1e-3 * rng.random(3000),
            "two numbers": np.column_stack([1e6 * rng.random(3000), (x > 0.3) + 1e-3 * rng.random(3000)]),
        }[kind]
        fitted = encoder(numbers="ple", edges="tree", n_bins=2).fit(x[:, np.newaxis], y)
        assert_allclose(fitted.transform([[0.3]]), [[1, 0]], atol=0.01)

    def test_are_quantiles_without_a_target(self):
        X = numbers("normal")[:, np.newaxis]
        assert_array_equal(encoder(edges="tree").fit_transform(X), encoder(edges="quantile").fit_transform(X))

    def test_tell_large_close_integers_apart(self):
        x = np.repeat(10**17 + np.arange(4), 50)
        found = encoder(numbers="ple", edges="tree").fit_transform(x[:, np.newaxis], x % 2)
        assert len(np.unique(found, axis=0)) == 4


def test_edges_of_many_rows_are_from_a_seeded_sample_and_hold_the_extremes():
    x = np.random.default_rng(0).normal(size=60_000)
    x[:2] = -100, 100
    X = x[:, np.newaxis]
    found = [TableEncoder(numbers="ple", random_state=seed).fit_transform(X) for seed in (0, 0, 1)]
    assert_array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])
    assert_allclose(found[0], found[2], atol=0.2)
    assert found[0].min() == 0
    assert found[0].max() == 1
