"""X in everything that scikit-learn's MLP accepts: containers, layouts, dtypes.

Data that scikit-learn refuses must be refused in the same words. So most tests compare outcomes: a model, or an error.
"""

import pickle
from typing import Any

import joblib
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse

from fastbp import BackpropClassifier
from fastbp.estimators import checking
from support.fits import assert_as_scikit_learn, assert_same_bits, both, output, problem, small

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


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
        """The same numbers in other places and layouts of memory."""
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
            monkeypatch.setattr(checking, name, asked)
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
    def test_numbers_of_any_dtype_are_read_as_float64(self, estimator, dtype):
        X, y = problem(estimator, whole=True)
        X = X - X.min()
        plain = small(estimator).fit(X, y)
        model = small(estimator).fit(X.astype(dtype), y)
        assert model.coefs_[0].dtype == np.float64
        assert_same_bits(model, plain)
        assert_array_equal(output(plain, X.astype(dtype)), output(plain, X))

    @both
    def test_truth_values_are_read_as_float64(self, estimator):
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
    def test_an_invalid_X_is_refused_as_by_scikit_learn(self, estimator, break_):
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


def test_repeated_entries_that_overflow_are_refused():
    X = sparse.csr_matrix((np.array([1e308, 1e308, 1.0, 1.0]), np.array([0, 0, 1, 0]), np.array([0, 2, 4])))
    with pytest.raises(ValueError, match="X contains infinity or a value too large: the sum of its repeated entries"):
        BackpropClassifier((5,), max_iter=2).fit(X, [0, 1])
