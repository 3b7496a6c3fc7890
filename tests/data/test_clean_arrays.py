"""Arrays that need none of scikit-learn's slower checks: results and errors are the same as with these checks."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.metrics import accuracy_score
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets

from fastbp import BackpropClassifier
from fastbp.data.targets import MANY, different, positions
from fastbp.estimators import checking
from fastbp.estimators.parameters import random_state_of
from support.fits import assert_as_scikit_learn, assert_same_bits, both, outcome, output, problem, small

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
INTEGERS = ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"]


@pytest.fixture
def no_checks(monkeypatch):
    """Within a test, scikit-learn's checks of data raise an AssertionError."""

    def asked(*args, **kwargs):
        raise AssertionError("scikit-learn was asked")

    for name in ("validate_data", "check_is_fitted"):
        monkeypatch.setattr(checking, name, asked)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@both
def test_a_fit_on_clean_arrays_needs_no_other_checks(estimator, dtype, no_checks):
    X, y = problem(estimator)
    X = X.astype(dtype)
    model = small(estimator).fit(X, y)
    assert model.n_features_in_ == X.shape[1]
    for form in (np.asfortranarray(X), np.repeat(X, 2, axis=0)[::2]):
        assert_same_bits(small(estimator).fit(form, y), model)
    for wrong in ((X.tolist(), y), (X, y.tolist()), (X[:-1], y), (X, y[:-1]), (X * np.nan, y), (X[:0], y[:0])):
        with pytest.raises(AssertionError, match="was asked"):
            small(estimator).fit(*wrong)


@both
def test_a_fit_on_a_clean_array_forgets_the_names_and_the_width_of_the_fit_before(estimator):
    pandas = pytest.importorskip("pandas")
    X, y = problem(estimator)
    model = small(estimator).fit(pandas.DataFrame(X, columns=list("abcd")[: X.shape[1]]), y)
    assert list(model.feature_names_in_) == list("abcd")[: X.shape[1]]
    model.fit(X[:, :2].copy(), y)
    assert not hasattr(model, "feature_names_in_")
    assert model.n_features_in_ == 2
    with pytest.raises(ValueError, match=r"X has 3 features, but .* is expecting 2 features as input"):
        model.predict(X[:, :3])


@pytest.mark.parametrize("order", ["C", "F", "every second row"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@both
def test_a_number_that_is_not_finite_is_refused_wherever_it_is_in_a_large_X(estimator, value, order):
    n = 2 * checking.PART // 300
    X, y = np.zeros((n, 300)), np.arange(n) % 2
    for place in ((0, 0), (n // 2, 299), (n - 1, 0), (n - 1, 299)):
        wrong = X.copy()
        wrong[place] = value
        form = np.repeat(wrong, 2, axis=0)[::2] if order == "every second row" else np.array(wrong, order=order)
        assert "Input X contains" in assert_as_scikit_learn(estimator, form, y)


@both
def test_wrong_rows_and_targets_get_scikit_learns_errors(estimator):
    X, y = problem(estimator)
    for value in (np.nan, np.inf, -np.inf):
        row = X[:1].copy()
        row[0, -1] = value
        assert "Input X contains" in assert_as_scikit_learn(estimator, X, y, row)
        assert "Input y contains" in assert_as_scikit_learn(estimator, X, np.where(np.arange(40) == 39, value, y))
    for row in (X[:1, :2], X[0], X[:1][None], X[:0]):
        assert assert_as_scikit_learn(estimator, X, y, row)
    assert assert_as_scikit_learn(estimator, X, y[:, None, None])
    assert assert_as_scikit_learn(estimator, X, y * 1j)


@both
def test_a_single_row_of_any_layout_is_predicted_like_a_row_among_others(estimator):
    X, y = problem(estimator)
    for dtype in ("f4", "f8"):
        model = small(estimator).fit(X.astype(dtype), y)
        expected = output(model, X[:2])[:1]
        row = X[:1].copy()
        row.setflags(write=False)
        wide = np.repeat(X[:1], 3, axis=1)
        for form in (row, wide[:, ::3], np.asfortranarray(row), np.repeat(X, 2, axis=0)[:2:2], row.tolist()):
            assert_array_equal(output(model, form), expected)


@pytest.mark.parametrize("n_classes", [2, 20, 21, 40])
@pytest.mark.parametrize("kind", [int, str])
def test_a_fit_warns_as_scikit_learns_check_does_if_more_than_half_of_the_labels_differ(n_classes, kind):
    X = problem(BackpropClassifier)[0]
    y = (np.arange(40) % n_classes).astype(kind)
    expected = outcome(small(BackpropClassifier), lambda model: check_classification_targets(y))[0]
    assert outcome(small(BackpropClassifier), lambda model: model.fit(X, y))[0] == expected
    assert len(expected) == (n_classes > 20)


@pytest.mark.parametrize("dtype", [*INTEGERS, "?"])
def test_many_integer_labels_have_the_classes_and_the_places_that_sorting_finds(dtype):
    rng = np.random.default_rng(0)
    least, largest = (0, 1) if dtype == "?" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    for low, high in ((least, least + 1), (largest - 1, largest), (least, largest), (0, min(100, largest))):
        labels = rng.choice(np.array([low, high, (low + high) // 2], dtype), 2 * MANY)
        classes = different(labels)
        assert classes.dtype == labels.dtype
        assert_array_equal(classes, np.unique(labels))
        assert_array_equal(positions(classes, labels), np.searchsorted(classes, labels))


@pytest.mark.parametrize("low", [-1000, 10**6])
def test_a_fit_on_many_labels_is_that_on_strings_in_the_same_order(low):
    X = np.random.default_rng(0).normal(size=(2 * MANY, 3))
    y = 3 * (X[:, 0] > 0) + 7 * (X[:, 1] > 0)
    model, expected = (small(BackpropClassifier).fit(X, labels) for labels in (y + low, np.char.mod("%02d", y)))
    assert_array_equal(model.classes_, expected.classes_.astype(int) + low)
    assert_same_bits(model, expected)


@pytest.mark.parametrize("seed", [0, 7, 2**32 - 1])
def test_a_seed_draws_scikit_learns_numbers(seed):
    ours, theirs = random_state_of(seed), check_random_state(seed)
    assert_array_equal(ours.normal(size=3), theirs.normal(size=3))
    assert_array_equal(ours.permutation(9), theirs.permutation(9))


def test_the_score_is_scikit_learns_accuracy():
    X, y = problem(BackpropClassifier)
    weights = np.arange(40.0)
    for labels in (y, y > 0, y.astype("i1"), y.astype(float), y.astype(str), np.eye(3, dtype=int)[y]):
        model = small(BackpropClassifier).fit(X, labels)
        for weight in (None, weights):
            assert model.score(X, labels, weight) == accuracy_score(labels, model.predict(X), sample_weight=weight)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        model.score(X, labels[:-1])
