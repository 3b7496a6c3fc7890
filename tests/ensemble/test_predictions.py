"""The predictions of an ensemble are the averages of its members' predictions, in blocks, on any number of threads."""

import re
import tracemalloc
import warnings

import numpy as np
import pytest
import scipy.sparse
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from fastbp import BackpropClassifier, BackpropEnsembleClassifier, BackpropEnsembleRegressor, BackpropRegressor
from fastbp.data import examples
from fastbp.ensemble import averaging
from fastbp.network import costs
from support.ensembles import KINDS, both, ensemble
from support.fits import output, problem

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
WEIGHTS = np.array([0.5, 0.0, 0.125, 0.375])
LABELS = np.array(["setosa", "b", "c"])


def fitted(kind, member=None, *, y=None, weights=WEIGHTS, **params):
    X, target = problem(KINDS[kind])
    model = ensemble(kind, member, **params).fit(X, target if y is None else y(target))
    model.weights_ = weights
    return X, model


def average(model, method, X):
    return sum(
        weight * getattr(member, method)(X) for weight, member in zip(model.weights_, model.members_, strict=True)
    )


class TestAverages:
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    @pytest.mark.parametrize("loss", ["log_loss", "binary_cross_entropy", "squared_error"])
    @pytest.mark.parametrize("classes", [1, 2, 3])
    def test_of_probabilities_decide_the_class(self, classes, loss, dtype):
        X, model = fitted(
            BackpropEnsembleClassifier, {"loss": loss, "dtype": dtype}, y=lambda y: LABELS[np.minimum(y, classes - 1)]
        )
        p, expected = model.predict_proba(X), average(model, "predict_proba", X)
        assert p.shape == (len(X), classes)
        assert p.dtype == dtype
        assert_allclose(p, expected, rtol=1e-6 if dtype == "float32" else 1e-15)
        assert_allclose(p.sum(axis=1), 1, rtol=1e-6)
        assert_array_equal(model.classes_, np.unique(LABELS[:classes]))
        assert_array_equal(model.predict(X), model.classes_[p.argmax(axis=1)])
        assert_array_equal(model.predict_log_proba(X), np.log(p))
        assert model.score(X, model.predict(X)) == 1

    @pytest.mark.parametrize("loss", ["log_loss", "squared_error"])
    def test_of_a_multilabel_target_decide_each_label(self, loss):
        X, model = fitted(
            BackpropEnsembleClassifier, {"loss": loss}, y=lambda y: np.column_stack([y == 0, y > 0, y != 1]).astype(int)
        )
        p = model.predict_proba(X)
        assert_allclose(p, average(model, "predict_proba", X), rtol=1e-15)
        assert_array_equal(model.predict(X), (p >= 0.5).astype(int))
        assert 0 < model.predict(X).mean() < 1

    def test_of_outputs_that_are_not_probabilities_decide_the_class(self):
        member = {"loss": "squared_error", "out_activation": "identity"}
        X, model = fitted(BackpropEnsembleClassifier, member)
        assert not hasattr(model, "predict_proba")
        assert not hasattr(clone(model), "predict_log_proba")
        assert_array_equal(model.predict(X), average(model, "_outputs", X).argmax(axis=1))

    @pytest.mark.parametrize("columns", [1, 3])
    def test_of_numbers(self, columns):
        X, model = fitted(BackpropEnsembleRegressor, y=lambda y: y if columns == 1 else np.outer(y, [1, 2, 3]))
        assert_allclose(model.predict(X), average(model, "predict", X), rtol=1e-14)
        assert model.predict(X).shape == ((len(X),) if columns == 1 else (len(X), 3))
        assert model.n_outputs_ == columns

    def test_of_several_quantiles_are_averaged_one_by_one_and_may_cross(self, monkeypatch):
        member = {"loss": "quantile", "quantile": [0.1, 0.5, 0.9], "max_iter": 30}
        X, model = fitted(BackpropEnsembleRegressor, member)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            expected = average(model, "predict", X)
        y = problem(BackpropRegressor)[1]
        with pytest.warns(UserWarning, match=r"^The predicted quantiles of \d+ of 40 examples cross") as caught:
            found = model.predict(X)
        assert caught[0].filename == __file__
        assert_allclose(found, expected, rtol=1e-14)
        predict, seen = BackpropEnsembleRegressor.predict, []
        monkeypatch.setattr(type(model), "predict", lambda *a: seen.append(warnings.filters[:]) or predict(*a))
        assert model.score(X, y) == model.members_[0]._fitted_target().d2(y, found, None)
        assert seen == [warnings.filters]  # the filters of other threads are left alone

    @pytest.mark.parametrize(("dtypes", "expected"), [(["float32"], "float32"), (["float32", "float64"], "float64")])
    @both
    def test_have_the_dtype_that_holds_those_of_all_members(self, kind, dtypes, expected):
        X, y = problem(KINDS[kind])
        X, y = X.astype(np.float32), y if kind is BackpropEnsembleClassifier else y.astype(np.float32)
        model = ensemble(kind, param_distributions={"dtype": dtypes}, n_members=8).fit(X, y)
        assert output(model, X).dtype == expected
        assert_allclose(output(model, X), np.mean([output(each, X) for each in model.members_], axis=0), rtol=1e-5)

    @both
    def test_of_one_member_have_its_bits(self, kind):
        X, model = fitted(kind, weights=np.array([0.0, 0, 1, 0]))
        for rows in (X[:1], X, scipy.sparse.csr_array(X)):
            assert_array_equal(output(model, rows), output(model.members_[2], rows))
            assert_array_equal(model.predict(rows), model.members_[2].predict(rows))

    @both
    def test_before_a_fit_are_an_error(self, kind):
        with pytest.raises(NotFittedError):
            kind().predict([[0.0]])

    @both
    def test_that_overflow_are_an_error(self, kind):
        X, model = fitted(kind, {"activation": "identity"})
        for member in model.members_:
            member.coefs_[0][:] = 1e200
            member.coefs_[1][:] = 1e200
        with pytest.raises(ValueError, match="outputs are not finite"):
            model.predict(X)


FORMS = {
    "rows": np.ascontiguousarray,
    "columns": np.asfortranarray,
    "every other column": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
    "float32": np.float32,
    "integers": lambda X: np.round(3 * X).astype(int),
    "a list": lambda X: X.tolist(),
    "CSR": scipy.sparse.csr_matrix,
    "COO": scipy.sparse.coo_matrix,
}


def unsorted_csr(X):
    """A CSR matrix whose rows have their columns in descending order."""
    n, m = X.shape
    columns = np.tile(np.arange(m)[::-1], n)
    return scipy.sparse.csr_matrix((X[:, ::-1].ravel(), columns, np.arange(0, n * m + 1, m)), X.shape)


class TestBlocks:
    @pytest.fixture(autouse=True)
    def _many_blocks(self, monkeypatch):
        monkeypatch.setattr(averaging, "LEAST_WORK", 0)
        monkeypatch.setattr(averaging, "LEAST_ROWS", 3)
        monkeypatch.setattr(examples, "CONVERTED_BYTES", 7 * 4 * 8)

    @pytest.mark.parametrize("n_jobs", [1, 2, 3])
    @pytest.mark.parametrize("form", [*FORMS, "unsorted CSR", "file", "file of integers"])
    @both
    def test_in_threads_have_the_bits_of_one_block_in_one_thread(self, kind, form, n_jobs, tmp_path, monkeypatch):
        X, model = fitted(kind, param_distributions={"dtype": ["float32", "float64"]})
        if form.startswith("file"):
            np.save(tmp_path / "X.npy", X if form == "file" else np.round(3 * X).astype("i2"))
            X = np.load(tmp_path / "X.npy", mmap_mode="r")
        else:
            X = {**FORMS, "unsorted CSR": unsorted_csr}[form](X)
        dense = X.toarray() if scipy.sparse.issparse(X) else np.array(X)
        found = [getattr(model.set_params(n_jobs=n_jobs), method)(X) for method in ("predict", *PROBA[kind])]
        monkeypatch.undo()
        expected = [getattr(model.set_params(n_jobs=1), method)(dense) for method in ("predict", *PROBA[kind])]
        for values, wanted in zip(found, expected, strict=True):
            assert_array_equal(values, wanted)

    def test_of_labels_never_hold_the_averages_of_all_rows(self, monkeypatch):
        monkeypatch.undo()
        monkeypatch.setattr(costs, "OUTPUT_BYTES", 1 << 14)
        X, y = problem(BackpropClassifier)
        X = np.tile(X, (2000, 1))
        model = ensemble(BackpropEnsembleClassifier, n_jobs=1).fit(X[:40], y)
        model.predict(X)
        tracemalloc.start()
        try:
            model.predict(X)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < len(X) * 8 + (1 << 19)  # the labels and little more: all averages would take 1.9 MB

    @both
    def test_run_in_as_many_threads_as_allowed(self, kind, monkeypatch):
        found, in_threads = [], averaging.in_threads

        def counted(jobs, n_threads):
            found.append((len(jobs), n_threads))
            return in_threads(jobs, n_threads)

        monkeypatch.setattr(averaging, "in_threads", counted)
        X, model = fitted(kind)
        model.set_params(n_jobs=2).predict(X)
        model.set_params(n_jobs=1).predict(X)
        assert found == [(8, 2)]


PROBA = {BackpropEnsembleClassifier: ("predict_proba",), BackpropEnsembleRegressor: ()}


@both
def test_verbose_prints_the_memory_and_every_member(kind, capsys):
    X, y = problem(KINDS[kind])
    ensemble(kind, {"early_stopping": True}, selection="greedy", verbose=True, n_jobs=1).fit(X, y)
    first, *lines, last = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"4 members on 1 threads, about 0\.\d MiB", first)
    for i, line in enumerate(lines):
        assert re.match(rf"Member {i} \({i + 1} of 4\) ended after 3 iterations, loss = .*, validation score = ", line)
    assert len(lines) == 4
    assert re.fullmatch(r"Selected \d of 4 members, cost = \S+", last)


def test_parameters_of_the_members_are_set_by_the_ensemble():
    model = BackpropEnsembleClassifier(BackpropClassifier()).set_params(estimator__alpha=0.5, n_members=3)
    assert model.estimator.alpha == 0.5
    assert clone(model).get_params()["estimator__alpha"] == 0.5
