"""BackpropEnsembleRegressor: networks that predict numbers together."""

from __future__ import annotations  # help() then shows ArrayLike, not what it stands for

from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..data.targets import Values
from ..estimators.base import Perceptron
from ..estimators.checking import checked_numbers
from ..estimators.quantiles import QuantileScoreMixin, warn_of_crossing
from ..estimators.regressor import BackpropRegressor
from ..estimators.validation_set import GivenValidation
from ..typing import Array
from .base import Begun, Ensemble, fits_members
from .data import Validation
from .judging import Prepare, loss_of_numbers
from .members import Distributions
from .selection import REGRESSION, Cost, Votes

CONSTRAINTS = {**Ensemble._parameter_constraints, "estimator": [BackpropRegressor, None]}


class BackpropEnsembleRegressor(QuantileScoreMixin, Ensemble):
    """Networks of different random states, which train side by side and predict numbers together.

    The members are copies of one BackpropRegressor. Each has its own `random_state` and, if you like, its own
    parameters, drawn from `param_distributions`. Each trains on one thread, so no thread ever waits for another one,
    and on C cores K members take little more than K / C times the time of one member on one thread. A member has the
    bits of a fit alone. A prediction averages the predictions of all members, in one pass over X.

    Parameters
    ----------
    estimator : BackpropRegressor or None, default=None
        The members are copies of it. It is not fitted itself. Its `random_state` is not used. None means
        BackpropRegressor().
    n_members : int, default=8
        Number of members.
    param_distributions : dict, list of dict or None, default=None
        Parameters of BackpropRegressor that differ between members, as in scikit-learn's ParameterSampler: by name,
        either a list of values or a distribution of SciPy. Each member draws its own. If all are lists, no combination
        is drawn again before all have been drawn.
    selection : {'average', 'greedy'}, default='average'
        'average' gives all members the same weight. 'greedy' chooses members by the validation set (Caruana et al.,
        2004): it begins with the best member. Then it adds the member, perhaps one that it has already, whose addition
        makes the cost of the average least, `max_picks` times in all. The picks up to the least cost are kept.
    max_picks : int, default=32
        Largest number of picks of 'greedy'.
    scoring : str or callable, default='loss'
        The cost by which 'greedy' chooses. 'loss' is the mean cost of the averaged predictions, by the loss of
        `estimator`. A scorer of scikit-learn is given by its name or as a callable scorer(estimator, X, y); the cost is
        minus its score. If the validation set has weights, the scorer gets them as sample_weight. If the loss of
        `estimator` consists of functions of your own, 'greedy' needs a scorer.
    validation_fraction : float, default=0.1
        If a member has `early_stopping`, or if `selection` is 'greedy', this share of the examples is the validation
        set of all members, unless `fit` gets one. No member trains on it. A member with `early_stopping` stops by it.
        The copies do not use their own `validation_fraction`.
    n_jobs : int or None, default=None
        Upper bound on threads, as in BackpropRegressor. In a fit each thread trains one member after the other, and in
        a prediction each thread takes one block of rows after the other. It changes no bit of the result.
    random_state : int, RandomState instance or None, default=None
        Draws the validation set, the parameters of the members and, as in BaggingRegressor, their random states. A
        smaller ensemble has the first members of a larger one.
    verbose : bool, default=False
        Whether to print the estimated memory, and a line for each member that ends.

    Attributes
    ----------
    members_ : list of BackpropRegressor
        The fitted members.
    weights_ : ndarray of shape (len(members_),)
        Weight of each member in the average. The sum is 1. Members of weight 0 make no predictions.
    failed_members_ : dict of int to str
        For each member whose training failed, from 0 to n_members - 1, the message of its error. Such members are not
        in `members_`.
    validation_rows_ : ndarray of int or None
        The rows of X that were the validation set, in ascending order. None if there was none, or if `fit` got one.
    selection_costs_ : list of float or None
        The cost of the average after each pick. None unless `selection` is 'greedy'.
    n_outputs_ : int
        Number of columns of the average: one for each target, or one for each of several quantiles.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if X has names.

    See Also
    --------
    BackpropRegressor : One network.
    BackpropEnsembleClassifier : The same for classes. Its Notes (memory, Ctrl-C, partial_fit) apply here as well.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastbp import BackpropEnsembleRegressor, BackpropRegressor
    >>> X, _ = load_iris(return_X_y=True)
    >>> net = BackpropRegressor(hidden_layer_sizes=(5,), solver="lbfgs", max_iter=50, alpha=1)
    >>> reg = BackpropEnsembleRegressor(net, n_members=4, random_state=0).fit(X[:, :3], X[:, 3])
    >>> reg.score(X[:, :3], X[:, 3]) > 0.9
    True
    """

    _parameter_constraints = CONSTRAINTS

    def __init__(
        self,
        estimator: BackpropRegressor | None = None,
        n_members: int = 8,
        *,
        param_distributions: Distributions = None,
        selection: str = "average",
        max_picks: int = 32,
        scoring: str | Callable[..., float] = "loss",
        validation_fraction: float = 0.1,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: bool = False,
    ):
        self.estimator = estimator
        self.n_members = n_members
        self.param_distributions = param_distributions
        self.selection = selection
        self.max_picks = max_picks
        self.scoring = scoring
        self.validation_fraction = validation_fraction
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @fits_members
    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: ArrayLike | None = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> Self:
        """Train all members on X and y, and choose their weights.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Examples. A sparse matrix is never made dense as a whole, and a memory map is never read as a whole.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Numbers to predict.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of the cost of each example, not negative and not all zero.
        X_val, y_val : array-like of shape (n_val, n_features), (n_val,) or (n_val, n_outputs), default=None
            A validation set for members with `early_stopping` and for the selection 'greedy'. It replaces the examples
            that `validation_fraction` would set aside.
        sample_weight_val : array-like of shape (n_val,), default=None
            Weights of the validation set.

        Returns
        -------
        self : BackpropEnsembleRegressor

        Raises
        ------
        ValueError
            A parameter or the data is not valid, or all members failed.
        MemoryError
            The members need more memory than the machine has.

        Warns
        -----
        FitFailedWarning
            Some members failed.
        UserWarning
            Ctrl-C ended the training, or some members gave a warning.
        """
        return self._fit(X, y, sample_weight, GivenValidation(X_val, y_val, sample_weight_val))

    def predict(self, X: ArrayLike) -> NDArray:
        """Average the predictions of the members, with their weights.

        Several quantiles are averaged one by one.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Examples.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Averages. They are float32 if the predictions of all members are.

        Raises
        ------
        NotFittedError
            There was no fit.
        ValueError
            X is not valid, or edited attributes of a member do not make a network.

        Warns
        -----
        UserWarning
            With several quantiles: the averages of some examples cross, that is, a larger quantile has a smaller
            average.
        """
        now = self._as_now()
        values = now._averaged(X, lambda votes: votes)
        target = now._fitted_target()
        if target.quantiles:
            warn_of_crossing(values, stacklevel=3)
        return target.predict(values)

    # ---------------------------------------------------------------- what differs between classes and numbers

    def _validated(self, X: Any, y: Any, *, reset: bool) -> tuple[Any, NDArray]:
        return checked_numbers(self, X, y, reset=reset)

    def _template(self) -> Perceptron:
        return BackpropRegressor() if self.estimator is None else self.estimator

    def _vote(self, member: Any, outputs: Array) -> Array:
        return member._values(outputs)

    def _fitted_target(self) -> Values:
        quantiles = self.members_[0]._quantiles()
        return Values(self.n_outputs_, quantiles if len(quantiles) > 1 else ())

    def _labels(self, y: NDArray) -> None:
        """None, because numbers have no classes."""

    def _width(self, members: Sequence[Any], begun: Sequence[Begun]) -> int:
        for each in begun:
            if each.target != begun[0].target:
                raise ValueError(
                    "param_distributions must give all members the same quantiles, got "
                    f"{[member.quantile for member in members]!r:.200}."
                )
        return begun[0].n_outputs

    def _loss(self, begun: Begun, validation: Validation) -> tuple[Prepare, Cost]:
        template, target = self._template(), begun.target
        if template.loss not in REGRESSION:
            raise ValueError(
                f"scoring must be a scorer, such as 'r2', because scoring='loss' does not know loss={template.loss!r}."
            )
        assert isinstance(target, Values)
        return loss_of_numbers(target, validation, template.loss, template._loss_options(target))

    def _guess(self, y: NDArray) -> Votes:
        return np.full((len(y), self.n_outputs_), y.mean(axis=0))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.target_tags.positive_only = self._template().loss in ("poisson", "gamma")
        return tags


# pickle and skops store the path of a type. The path `fastbp` stays valid when this module moves.
BackpropEnsembleRegressor.__module__ = "fastbp"
