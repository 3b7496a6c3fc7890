"""scikit-learn's searches, with the candidates of a fold side by side."""

from __future__ import annotations  # help() then shows ArrayLike, not what it stands for

import time
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Self

from joblib.parallel import get_active_backend
from numpy.typing import ArrayLike
from sklearn import model_selection
from sklearn.base import _fit_context, clone, is_classifier
from sklearn.model_selection import ParameterGrid, ParameterSampler, check_cv
from sklearn.model_selection._search import BaseSearchCV
from sklearn.model_selection._validation import _insert_error_scores, _warn_or_raise_about_fit_failures
from sklearn.utils import indexable
from sklearn.utils.validation import _check_method_params

from ..estimators.parameters import Parameters
from .evaluation import Experiment, LocalTrials, Trials
from .folds import own_network

# joblib's backends on this machine. The workers of any other backend, such as Dask's, may be on other machines.
LOCAL_BACKENDS = ("LokyBackend", "MultiprocessingBackend", "SequentialBackend", "ThreadingBackend")

N_JOBS = {"n_jobs": Parameters._parameter_constraints["n_jobs"]}
RUN_SEARCHES = (model_selection.GridSearchCV._run_search, model_selection.RandomizedSearchCV._run_search)

Candidates = Sequence[dict[str, Any]]
Results = list[dict[str, Any]]


class SideBySide(BaseSearchCV):
    """A search whose `fit` trains the candidates side by side. Its other methods are scikit-learn's."""

    # ---------------------------------------------------------------- overridden by the searches

    def _base(self) -> Any:
        """The estimator without the parameters of a candidate."""
        return clone(self.estimator)

    def _candidates(self) -> Candidates:
        """The parameters of all candidates."""
        raise NotImplementedError

    def _evaluated(self, begin: Callable[[Candidates], Trials]) -> tuple[Candidates, Results, dict[str, Any]]:
        """All candidates, their results by candidate and then by fold, and more columns of `cv_results_`."""
        candidates = self._candidates()
        if not candidates:
            raise ValueError("No fits were performed. Were there no candidates?")
        return candidates, begin(candidates).evaluate(range(len(candidates)), None, keep=False), {}

    def _trials(self, experiment: Experiment) -> Trials:
        """The trials of the search. They have not begun."""
        return LocalTrials(experiment, self.n_jobs)

    # ---------------------------------------------------------------- the fit

    def _goes_side_by_side(self) -> bool:
        """Whether the candidates can train in threads of this process.

        scikit-learn runs a search with callbacks, and one whose subclass overrides `_run_search`.
        """
        watched = [self, self.estimator, own_network(self.estimator)]
        return (
            own_network(self.estimator) is not None
            and not any(getattr(each, "_skl_callbacks", None) for each in watched)
            and type(self)._run_search in RUN_SEARCHES
            and type(get_active_backend()[0]).__name__ in LOCAL_BACKENDS
        )

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: ArrayLike, y: ArrayLike | None = None, **params: Any) -> Self:
        """Evaluate all candidates, and fit the best one to all examples.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Examples.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        **params : dict
            Arguments of `fit`, of the scorer and of the splitter, as in scikit-learn: for instance `sample_weight` and
            `groups`.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            A parameter, X or y is not valid; or all fits failed; or one failed and error_score='raise'.
        """
        if not self._goes_side_by_side():
            super().fit(X, y, **params)
            return self
        scorers, refit_metric = self._get_scorers()
        X, y = indexable(X, y)
        params = _check_method_params(X, params=params)
        routed = self._get_routed_params_for_fit(params)
        cv = check_cv(self.cv, y, classifier=is_classifier(self.estimator))
        self.n_splits_ = cv.get_n_splits(X, y, **routed.splitter.split)
        base, fit_params = self._base(), routed.estimator.fit
        options = {
            "scorer": scorers,
            "score_params": routed.scorer.score,
            "error_score": self.error_score,
            "return_train_score": self.return_train_score,
            "verbose": self.verbose,
        }

        def begin(candidates: Candidates) -> Trials:
            # After the draw of the candidates, as in scikit-learn, because both may draw from the same RandomState.
            splits = list(cv.split(X, y, **routed.splitter.split))
            if len(splits) != self.n_splits_:
                raise ValueError(
                    f"cv.split and cv.get_n_splits return inconsistent results. Expected {self.n_splits_} splits, got "
                    f"{len(splits)}"
                )
            if self.verbose > 0:
                print(
                    f"Fitting {len(splits)} folds for each of {len(candidates)} candidates, totalling "
                    f"{len(splits) * len(candidates)} fits"
                )
            return self._trials(Experiment(base, candidates, X, y, splits, fit_params, options))

        candidates, out, more = self._evaluated(begin)
        _warn_or_raise_about_fit_failures(out, self.error_score)
        if callable(self.scoring):
            _insert_error_scores(out, self.error_score)
        results = self._format_results(candidates, self.n_splits_, out, more)
        self._choose(results, refit_metric, out[0]["test_scores"])
        if self.refit:
            self._refit(clone(base), X, y, fit_params)
        self.scorer_ = getattr(scorers, "_scorers", scorers)
        self.cv_results_ = results
        return self

    def _choose(self, results: dict[str, Any], refit_metric: Any, a_score: Any) -> None:
        """Set the attributes of the best candidate. a_score: the test scores of any trial."""
        self.multimetric_ = isinstance(a_score, dict)
        if callable(self.scoring) and self.multimetric_:
            self._check_refit_for_multimetric(a_score)
            refit_metric = self.refit
        if self.refit or not self.multimetric_:
            self.best_index_ = self._select_best_index(self.refit, refit_metric, results)
            if not callable(self.refit):
                self.best_score_ = results[f"mean_test_{refit_metric}"][self.best_index_]
            self.best_params_ = results["params"][self.best_index_]

    def _refit(self, best: Any, X: Any, y: Any, fit_params: dict[str, Any]) -> None:
        """Fit the best candidate to all examples. It may use all threads."""
        self.best_estimator_ = best.set_params(**clone(self.best_params_, safe=False))
        start = time.time()
        self.best_estimator_.fit(X, *([] if y is None else [y]), **fit_params)
        self.refit_time_ = time.time() - start
        if hasattr(self.best_estimator_, "feature_names_in_"):
            self.feature_names_in_ = self.best_estimator_.feature_names_in_


class GridSearchCV(SideBySide, model_selection.GridSearchCV):
    """GridSearchCV of scikit-learn, with candidates that train side by side.

    If the estimator is one of fastbp's, or a Pipeline with such a last step, the candidates of a fold train in threads,
    one thread each, and share the data of the fold. All scores in `cv_results_` are scikit-learn's, to the last digit,
    unless the estimator has `random_state=None`. With any other estimator, with callbacks, and under joblib's backend
    of Dask, the search is scikit-learn's own.

    Parameters
    ----------
    estimator : estimator
        The candidates are copies of it.
    param_grid : dict or list of dict
        For each parameter, its values.
    scoring : str, callable, list, tuple or dict, default=None
        What to measure, as in scikit-learn. None: the `score` of the estimator.
    n_jobs : int, default=None
        Number of candidates that train at once. None: as many as Numba may use, or one in a worker of joblib or of
        Dask.
    refit : bool, str or callable, default=True
        Whether to fit the best candidate to all examples; the scorer that decides which one is the best; or a function
        that gets `cv_results_` and returns the index of the best one.
    cv : int, cross-validation generator or iterable, default=None
        The splits. None: 5 folds.
    verbose : int, default=0
        How much to print.
    pre_dispatch : int or str, default='2*n_jobs'
        Has no effect on candidates that train side by side.
    error_score : 'raise' or float, default=nan
        Score of a candidate that fails.
    return_train_score : bool, default=False
        Whether to score the training rows too.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastbp import BackpropClassifier
    >>> from fastbp.model_selection import GridSearchCV
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = BackpropClassifier(solver="lbfgs", random_state=0)
    >>> search = GridSearchCV(clf, {"hidden_layer_sizes": [(5,), (10,)], "alpha": [1e-4, 1.0]}).fit(X, y)
    >>> bool(search.best_score_ > 0.95)
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **model_selection.GridSearchCV._parameter_constraints,
        **N_JOBS,
    }

    def _candidates(self) -> Candidates:
        return list(ParameterGrid(self.param_grid))


class RandomizedSearchCV(SideBySide, model_selection.RandomizedSearchCV):
    """RandomizedSearchCV of scikit-learn, with candidates that train side by side.

    `GridSearchCV` describes the conditions for that.

    Parameters
    ----------
    estimator : estimator
        The candidates are copies of it.
    param_distributions : dict or list of dict
        For each parameter a list of values, or a distribution with a method `rvs`.
    n_iter : int, default=10
        Number of candidates.
    scoring : str, callable, list, tuple or dict, default=None
        What to measure, as in scikit-learn. None: the `score` of the estimator.
    n_jobs : int, default=None
        Number of candidates that train at once. None: as many as Numba may use, or one in a worker of joblib or of
        Dask.
    refit : bool, str or callable, default=True
        Whether to fit the best candidate to all examples; the scorer that decides which one is the best; or a function
        that gets `cv_results_` and returns the index of the best one.
    cv : int, cross-validation generator or iterable, default=None
        The splits. None: 5 folds.
    verbose : int, default=0
        How much to print.
    pre_dispatch : int or str, default='2*n_jobs'
        Has no effect on candidates that train side by side.
    random_state : int, RandomState or None, default=None
        Draws the candidates.
    error_score : 'raise' or float, default=nan
        Score of a candidate that fails.
    return_train_score : bool, default=False
        Whether to score the training rows too.

    Examples
    --------
    >>> from scipy.stats import loguniform
    >>> from sklearn.datasets import load_iris
    >>> from fastbp import BackpropClassifier
    >>> from fastbp.model_selection import RandomizedSearchCV
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = BackpropClassifier(solver="lbfgs", random_state=0)
    >>> search = RandomizedSearchCV(clf, {"alpha": loguniform(1e-5, 1)}, n_iter=4, random_state=0).fit(X, y)
    >>> bool(search.best_score_ > 0.95)
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **model_selection.RandomizedSearchCV._parameter_constraints,
        **N_JOBS,
    }

    def _candidates(self) -> Candidates:
        return list(ParameterSampler(self.param_distributions, self.n_iter, random_state=self.random_state))


# pickle stores the path of a type. This path stays valid when the module moves.
GridSearchCV.__module__ = RandomizedSearchCV.__module__ = "fastbp.model_selection"
