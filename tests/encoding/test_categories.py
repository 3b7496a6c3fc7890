"""Columns of categories, one-hot and as mean targets."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.preprocessing import OneHotEncoder, TargetEncoder

from fastbp import TableEncoder

RNG = np.random.default_rng(0)
N = 400
CITIES = np.array([f"city {i}" for i in range(80)], object)[(80 * RNG.random(N) ** 2).astype(int)]
COLOURS = np.array(["red", "green", "blue"], object)[RNG.integers(0, 3, N)]
# TARGETS: y of every kind, by name, and the names of the mean targets.
TARGETS = {
    "numbers": (RNG.normal(size=N), ["city_target"]),
    "two classes": (np.array(["no", "yes"])[RNG.integers(0, 2, N)], ["city_target"]),
    "three classes": (
        np.array(["a", "b", "c"])[RNG.integers(0, 3, N)],
        ["city_target_a", "city_target_b", "city_target_c"],
    ),
    "two numbers": (RNG.normal(size=(N, 2)), ["city_target_0", "city_target_1"]),
    "multilabel": (RNG.integers(0, 2, (N, 2)), ["city_target_0", "city_target_1"]),
}


def frame(**columns):
    return pd.DataFrame(columns)


def encoder(**parameters):
    return TableEncoder(**{"dtype": "float64", "random_state": 0, **parameters})


class TestOneHot:
    def test_equals_that_of_scikit_learn(self):
        X = frame(colour=COLOURS, city=CITIES)
        theirs = OneHotEncoder(min_frequency=5, handle_unknown="infrequent_if_exist", sparse_output=False).fit(X)
        ours = encoder(max_onehot=100).fit(X)
        new = frame(colour=["red", "black", "blue"], city=["city 0", "city 79", "nowhere"])
        for table in (X, new):
            assert_array_equal(ours.transform(table), theirs.transform(table))
        names = [name.replace("_infrequent_sklearn", "_infrequent") for name in theirs.get_feature_names_out()]
        assert ours.get_feature_names_out().tolist() == names

    def test_unseen_categories_are_0_if_none_is_rare(self):
        fitted = encoder().fit(frame(colour=COLOURS))
        assert_array_equal(fitted.transform(frame(colour=["black", None, "red"])), [[0, 0, 0], [0, 0, 0], [0, 0, 1]])

    def test_missing_categories_are_indicated_only(self):
        fitted = encoder(min_frequency=1)
        found = fitted.fit_transform(frame(colour=["red", None, "blue", np.nan, "red"]))
        assert fitted.get_feature_names_out().tolist() == ["colour_blue", "colour_red", "colour_missing"]
        assert_array_equal(found, [[0, 1, 0], [0, 0, 1], [1, 0, 0], [0, 0, 1], [0, 1, 0]])

    @pytest.mark.parametrize(("n", "least"), [(10, 1), (40, 2), (80, 4), (100, 5), (1000, 5)])
    def test_a_category_is_rare_below_min_frequency_or_a_twentieth(self, n, least):
        for count in (least - 1, least):
            values = ["rare"] * count + ["a", "b"] * n
            found = encoder().fit(frame(x=values[:n])).get_feature_names_out()
            assert ("x_rare" in found) == (count >= least)

    def test_categories_of_a_dtype_keep_its_order_and_leave_out_those_that_do_not_occur(self):
        sizes = pd.Categorical(["small", "large"] * 10, ["tiny", "small", "large"], ordered=True)
        assert encoder().fit(frame(size=sizes)).get_feature_names_out().tolist() == ["size_small", "size_large"]

    def test_equal_numbers_of_all_types_are_one_category(self):
        fitted = encoder(categorical_features=[0]).fit(np.array([[1], [2], [1], [2]]))
        expected = fitted.transform(np.array([[1], [2]]))
        for X in ([[1.0], [2.0]], [["1"], ["2"]], [[np.int8(1)], [np.float32(2)]], np.array([["1"], ["2"]])):
            assert_array_equal(fitted.transform(X), expected)

    def test_ids_of_18_digits_are_compared_to_their_last_digit(self):
        ids = 10**17 + np.arange(4)
        fitted = encoder(categorical_features=[0]).fit(np.repeat(ids, 10)[:, np.newaxis])
        assert_array_equal(fitted.transform(ids[:, np.newaxis]), np.eye(4))
        assert_array_equal(fitted.transform([[str(each)] for each in ids]), np.eye(4))
        assert_array_equal(fitted.transform([[10**17 + 4]]), np.zeros((1, 4)))

    def test_seven_thousand_categories_become_a_sparse_matrix(self):
        codes = np.arange(45_000) % 7500
        X = frame(code=[f"k{code}" for code in codes])
        fitted = encoder(many="onehot", dtype="float32")
        found = fitted.fit_transform(X)
        assert sparse.isspmatrix_csr(found)
        assert fitted.is_sparse_
        assert (found.shape, found.nnz, found.dtype) == ((45_000, 7500), 45_000, np.float32)
        places = {name: place for place, name in enumerate(fitted.get_feature_names_out())}
        assert_array_equal(found.indices, [places[f"code_k{code}"] for code in codes])
        assert fitted.transform(frame(code=["new", "k7"])).nnz == 1


class TestMeanTarget:
    @pytest.mark.parametrize("kind", TARGETS)
    def test_is_that_of_scikit_learn_standardised_and_clipped(self, kind):
        y, names = TARGETS[kind]
        X, new = frame(city=CITIES), frame(city=["city 3", "nowhere", None, "city 79"])
        fitted = encoder(drop_ids=False).fit(X, y)
        assert fitted.get_feature_names_out().tolist() == names
        assert_allclose(fitted.transform(new), expected_means(X, y, new), rtol=1e-6, atol=1e-6)

    @pytest.mark.parametrize("kind", TARGETS)
    def test_of_an_example_of_the_fit_does_not_depend_on_its_own_target(self, kind):
        y, names = TARGETS[kind]
        X = frame(city=[f"city {i}" for i in range(N // 2)] * 2)
        crossed = encoder(drop_ids=False).fit_transform(X, y)
        plain = encoder(drop_ids=False).fit(X, y).transform(X)
        assert crossed.shape == plain.shape == (N, len(names))
        codes = np.unique(y, return_inverse=True)[1] if y.ndim == 1 else y[:, 0]
        if kind == "three classes":
            codes = codes == 0
        assert abs(np.corrcoef(plain[:, 0], codes)[0, 1]) > 0.4
        assert abs(np.corrcoef(crossed[:, 0], codes)[0, 1]) < 0.2

    def test_follows_from_random_state(self):
        X, (y, _) = frame(city=CITIES), TARGETS["numbers"]
        found = [encoder(random_state=seed).fit_transform(X, y) for seed in (0, 0, 1)]
        assert_array_equal(found[0], found[1])
        assert not np.array_equal(found[0], found[2])

    def test_of_missing_values_is_one_of_their_own(self):
        city = np.where(np.arange(N) % 4 == 0, None, CITIES)
        y = np.where(np.arange(N) % 4 == 0, 5.0, 0.0)
        fitted = encoder().fit(frame(city=city), y)
        assert fitted.get_feature_names_out().tolist() == ["city_target", "city_missing"]
        found = fitted.transform(frame(city=[None, "city 3", "nowhere"]))
        assert_array_equal(found[:, 1], [1, 0, 0])
        assert found[0, 0] > 1.4 > 0.1 > found[2, 0] > found[1, 0]

    def test_of_an_unseen_category_is_the_mean_of_all(self):
        y = RNG.normal(size=N)
        fitted = encoder().fit(frame(city=CITIES), y)
        first, second = fitted.transform(frame(city=["nowhere", None]))
        assert_array_equal(first, second)
        assert abs(first) < 0.5

    @pytest.mark.parametrize("y", [None, np.arange(N) % 11, RNG.normal(size=(N, 11))])
    def test_gives_way_to_one_output_per_category_without_a_target_or_with_a_wide_one(self, y):
        names = encoder().fit(frame(city=CITIES), y).get_feature_names_out()
        assert "city_city 0" in names
        assert not any("target" in name for name in names)

    def test_can_be_beside_one_output_per_category(self):
        y, _ = TARGETS["numbers"]
        both = encoder(many="target+onehot").fit(frame(city=CITIES), y)
        apart = [encoder(many=way).fit(frame(city=CITIES), y) for way in ("onehot", "target")]
        assert_array_equal(
            both.transform(frame(city=CITIES)), np.hstack([each.transform(frame(city=CITIES)) for each in apart])
        )

    def test_is_for_columns_of_more_than_max_onehot_categories(self):
        y, _ = TARGETS["numbers"]
        X = frame(colour=COLOURS, city=CITIES)
        assert encoder(max_onehot=2).fit(X, y).get_feature_names_out().tolist() == ["colour_target", "city_target"]
        assert len(encoder(max_onehot=3).fit(X, y).get_feature_names_out()) == 4

    @pytest.mark.parametrize("n", [24, 60])
    def test_works_for_few_examples_and_rare_classes(self, n):
        X = frame(city=[f"{i % (n // 2)}x" for i in range(n)])
        y = np.where(np.arange(n) < 2, "rare", np.where(np.arange(n) % 2 == 0, "a", "b"))
        found = encoder(max_onehot=1).fit_transform(X, y)
        assert found.shape == (n, 3)
        assert np.isfinite(found).all()


def expected_means(X, y, new):
    """The standardised and clipped outputs of scikit-learn's TargetEncoder, for each output of y."""
    if y.dtype.kind == "U":
        classes = np.unique(y)
        y = np.column_stack([y == each for each in (classes if len(classes) > 2 else classes[1:])]).astype(float)
    outputs = []
    for target in y.reshape(len(y), -1).T.astype(float):
        theirs = TargetEncoder(target_type="continuous").fit(X, target)
        known, means = theirs.transform(X), theirs.transform(new)
        t = (means - known.mean()) / known.std()
        outputs.append(t / np.sqrt(1 + (t / 3) ** 2))
    return np.hstack(outputs)


class TestDeclaredCategories:
    X = pd.DataFrame({"a": [1, 2, 3] * 10, "b": [4, 5, 6] * 10, "c": pd.Categorical([7, 8, 9] * 10)})

    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            ("from_dtype", "c"),
            (None, ""),
            ([], ""),
            ([True, False, False], "a"),
            (np.array([False, True, True]), "bc"),
            ([0, 2], "ac"),
            ([-1], "c"),
            (["b"], "b"),
            (np.array(["a", "b"]), "ab"),
        ],
    )
    def test_are_given_as_in_histgradientboosting(self, given, expected):
        fitted = encoder(categorical_features=given).fit(self.X)
        onehot = [name for name in "abc" if fitted.column_kinds_[name] == "categories"]
        assert "".join(onehot) == expected
        for name in "abc":
            assert (f"{name}_{self.X[name][0]}" in fitted.get_feature_names_out()) == (name in expected)

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ([True, False], "categorical_features must have one value per column, 3 in all, got"),
            ([3], "categorical_features must be indices below 3, got"),
            ([-4], "categorical_features must be indices below 3, got"),
            (["d"], "categorical_features must be names of columns of X, but 'd' is not, got"),
            ([[0]], "categorical_features must be a vector of booleans, indices or names, got"),
            ([0.5], "categorical_features must be a vector of booleans, indices or names, got"),
            ("all", "categorical_features"),
        ],
    )
    def test_that_do_not_fit_the_table_are_refused(self, given, said):
        with pytest.raises(ValueError, match=said):
            encoder(categorical_features=given).fit(self.X)

    def test_by_name_need_a_table_with_names(self):
        with pytest.raises(ValueError, match="but 'a' is not"):
            encoder(categorical_features=["a"]).fit(self.X.to_numpy())

    def test_are_not_read_as_numbers_or_dates_and_others_are(self):
        X = frame(a=pd.Categorical(["1", "2"] * 10), b=pd.Categorical(["2024-01-01", "2024-06-01"] * 10))
        assert encoder().fit(X).column_kinds_ == {"a": "categories", "b": "categories"}
        assert encoder(categorical_features=None).fit(X).column_kinds_ == {"a": "numbers", "b": "dates"}
