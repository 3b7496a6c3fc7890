"""The structure of a sparse X: SciPy's flags are not believed, and nothing out of range reaches compiled code."""

import re

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse

from fastbp import BackpropClassifier
from support.fits import both, output, small

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
N, WIDTH = 60, 20


def a_matrix(format="csr", *, density=0.3):
    return sparse.random(N, WIDTH, density, format, random_state=np.random.default_rng(0))


def targets():
    return np.arange(N) % 2


@pytest.mark.parametrize("density", [0.1, 0.3])  # below and above the share from which rows are made dense
@both
def test_entries_out_of_order_are_sorted_whatever_the_flags_say(estimator, density):
    X, y = a_matrix(density=density), targets()
    model = small(estimator).fit(X, y)
    assert X.has_sorted_indices
    assert X.has_canonical_format
    X.indices[:] = np.random.default_rng(1).permutation(WIDTH)[X.indices]
    dense = X.toarray()
    assert_array_equal(output(model, X), output(model, dense))
    assert_array_equal(output(small(estimator).fit(X, y), X), output(small(estimator).fit(dense, y), dense))
    assert X.has_sorted_indices  # the user's matrix stays as it is


def test_entries_of_one_place_are_added_whatever_the_flags_say():
    X, y = a_matrix(), targets()
    model = small(BackpropClassifier).fit(X, y)
    assert X.has_canonical_format
    X.indices[:] = np.minimum(X.indices, WIDTH // 2)
    dense = np.zeros(X.shape)
    np.add.at(dense, (np.repeat(np.arange(N), np.diff(X.indptr)), X.indices), X.data)
    np.testing.assert_allclose(output(model, X), output(model, dense), rtol=1e-12)


def test_rows_of_any_length_in_order_are_not_copied():
    from fastbp.data.examples import CHECKED_ENTRIES, as_examples

    lengths = [0, 0, 1, 3, 0, CHECKED_ENTRIES, CHECKED_ENTRIES + 1, 2, 0]
    indptr, indices = np.cumsum([0, *lengths]), np.concatenate([np.arange(n) for n in lengths]).astype(np.int32)
    X = sparse.csr_matrix((np.ones(len(indices)), indices, indptr), (len(lengths), CHECKED_ENTRIES + 1))
    assert np.shares_memory(as_examples(X, np.dtype(float)).indices, X.indices)
    for at in (2, len(indices) // 2, len(indices) - 1):
        changed = X.copy()
        changed.indices[[at - 1, at]] = changed.indices[[at, at - 1]]
        found = as_examples(changed, np.dtype(float))
        assert not np.shares_memory(found.indices, changed.indices)
        assert_array_equal(found.indices, X.indices)


def set_all(part, value):
    def change(X):
        getattr(X, part)[::3] = value

    return change


def set_one(part, at, value):
    def change(X):
        getattr(X, part)[at] = value

    return change


def replace(part, by):
    def change(X):
        setattr(X, part, by(getattr(X, part)))

    return change


def swap(X):
    X.indptr[5], X.indptr[6] = X.indptr[6], X.indptr[5]


def columns_of_row_beyond(X):
    X.indices[X.indptr[1] - 1] = WIDTH  # the row stays in order


def first_column_negative(X):
    X.indices[X.indptr[1]] = -1


# BAD: for each change of a CSR matrix, what the error says
BAD = {
    "indices far beyond": (set_all("indices", 10**6), "indices from 0 to 19, got 1000000"),
    "indices negative": (set_all("indices", -7), "indices from 0 to 19, got -7"),
    "one index beyond": (columns_of_row_beyond, "indices from 0 to 19, got 20"),
    "one index negative": (first_column_negative, "indices from 0 to 19, got -1"),
    "large indices that int32 would wrap": (replace("indices", lambda i: i.astype(np.int64) + 2**32), "got 42949"),
    "indptr decreases": (swap, "an indptr that begins with 0 and never decreases"),
    "indptr begins late": (set_one("indptr", 0, 1), "an indptr that begins with 0"),
    "indptr negative": (set_one("indptr", 3, -5), "never decreases"),
    "indptr overruns": (set_one("indptr", -1, 10**6), "ends with at most the number of entries, got 1000000"),
    "indptr short": (replace("indptr", lambda p: p[:-3]), "61 values in indptr, got 58"),
    "indptr of floats": (replace("indptr", lambda p: p * 1.0), "a vector of integers as indptr"),
    "indptr in two dimensions": (replace("indptr", lambda p: p[:, None]), "a vector of integers as indptr"),
    "indices short": (replace("indices", lambda i: i[:10]), "there are 10 indices and 360 values"),
    "indices of floats": (replace("indices", lambda i: i * 1.0), "a vector of integers as indices"),
    "data short": (replace("data", lambda d: d[:10]), "there are 360 indices and 10 values"),
    "data in two dimensions": (replace("data", lambda d: np.stack([d, d])), "a vector of numbers as data"),
}


def refused(call, message, name="X"):
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        call()
    assert f"Input {name} must have" in str(caught.value)


@pytest.mark.parametrize("bad", BAD)
@both
def test_a_structure_out_of_range_is_refused_before_any_kernel(estimator, bad):
    change, message = BAD[bad]
    X, y = a_matrix(), targets()
    model = small(estimator, warm_start=True).fit(X, y)
    Z = X.copy()
    change(Z)
    for method in ("predict", "hidden_activations"):
        refused(lambda method=method: getattr(model, method)(Z), message)
    for method in ("fit", "partial_fit", "score"):
        refused(lambda method=method: getattr(model, method)(Z, y), message)
    refused(lambda: small(estimator).fit(Z, y), message)
    refused(lambda: small(estimator).fit(X, y, X_val=Z, y_val=y), message)


@pytest.mark.parametrize(
    ("format", "part", "value"),
    [
        ("csc", "indices", 10**6),
        ("csc", "indices", -3),
        ("csc", "indptr", 10**6),
        ("bsr", "indices", 10**6),
        ("bsr", "indptr", -2),
        ("coo", "row", 10**6),
        ("coo", "row", -N - 1),
        ("coo", "col", 10**6),
        ("coo", "col", -WIDTH - 1),
    ],
)
def test_other_formats_are_checked_before_scipy_converts_them(format, part, value):
    X, y = a_matrix(format), targets()
    model = small(BackpropClassifier).fit(X, y)
    getattr(X, part)[-1] = value
    refused(lambda: model.predict(X), str(value))
    refused(lambda: small(BackpropClassifier).fit(X, y), str(value))


def longer_row(X):
    X.data[0] = [*X.data[0], 1.0]


def not_a_list(X):
    X.rows[0] = 3


def other_number_of_rows(X):
    X.rows = X.rows[:-1]


def offset_twice(X):
    X.offsets[1] = X.offsets[0]


def offset_large(X):
    X.offsets = X.offsets.astype(np.int64) + 2**40


def fewer_diagonals(X):
    X.data = X.data[:-1]


@pytest.mark.parametrize(
    ("format", "change", "message"),
    [
        *[("lil", change, "lists of the same lengths") for change in (longer_row, not_a_list, other_number_of_rows)],
        *[("dia", change, "offsets that differ") for change in (offset_twice, offset_large)],
        ("dia", fewer_diagonals, "a row of data per offset"),
    ],
)
def test_lists_of_rows_and_diagonals_are_checked(format, change, message):
    X, y = a_matrix(format), targets()
    model = small(BackpropClassifier).fit(X, y)
    change(X)
    with pytest.raises(ValueError, match=message):
        model.predict(X)


def test_a_sparse_y_is_checked_too():
    X, y = a_matrix().toarray(), sparse.csr_matrix(np.random.default_rng(0).integers(0, 2, (N, 3)))
    small(BackpropClassifier).fit(X, y)
    y.indices[-1] = 10**6
    refused(lambda: small(BackpropClassifier).fit(X, y), "indices from 0 to 2, got 1000000", name="y")


@pytest.mark.parametrize(
    ("column", "message"),
    [(10**8, "columns from 0 to 2, got 100000000"), (-5, "got -5"), ("1", "a vector of integers as the lists of rows")],
)
def test_the_columns_of_a_y_of_lists_are_checked_too(column, message):
    X, y = a_matrix().toarray(), sparse.lil_matrix(np.random.default_rng(0).integers(0, 2, (N, 3)))
    small(BackpropClassifier).fit(X, y)
    y.rows[0], y.data[0] = [0, column], [1, 1]
    refused(lambda: small(BackpropClassifier).fit(X, y), message, name="y")


def test_arrays_that_are_not_contiguous_give_the_same_bits():
    X, y = a_matrix(), targets()
    Z = X.copy()
    for part in ("data", "indices", "indptr"):
        setattr(Z, part, np.repeat(getattr(X, part), 2)[::2])
    assert_array_equal(output(small(BackpropClassifier).fit(Z, y), Z), output(small(BackpropClassifier).fit(X, y), X))
