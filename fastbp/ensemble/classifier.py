"""BackpropEnsembleClassifier: networks that predict classes together."""

from __future__ import annotations  # help() then shows ArrayLike, not what it stands for

from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils.metaestimators import available_if

from ..data.targets import MULTILABEL, Labels
from ..estimators.base import Perceptron
from ..estimators.checking import checked_labels
from ..estimators.classifier import BackpropClassifier, can_predict_proba, gives_probabilities
from ..estimators.parameters import Decorator
from ..estimators.predicting import check_classes
from ..estimators.validation_set import GivenValidation
from ..typing import Array
from .base import Begun, Ensemble, fits_members
from .data import Validation
from .judging import Prepare, loss_of_labels
from .members import Distributions
from .selection import Cost, Votes


def _all_can(ensemble: BackpropEnsembleClassifier) -> bool:
    """True if predict_proba is available; otherwise raises the AttributeError that `available_if` expects."""
    return all(map(can_predict_proba, getattr(ensemble, "members_", None) or [ensemble._template()]))


if_probabilities: Decorator = available_if(_all_can)
CONSTRAINTS = {**Ensemble._parameter_constraints, "estimator": [BackpropClassifier, None]}


class BackpropEnsembleClassifier(ClassifierMixin, Ensemble):
    """Networks of different random states, which train side by side and predict classes together.

    The members are copies of one BackpropClassifier. Each has its own `random_state` and, if you like, its own
    parameters, drawn from `param_distributions`. Each trains on one thread, so no thread ever waits for another one,
    and on C cores K members take little more than K / C times the time of one member on one thread. A member has the
    bits of a fit alone. A prediction averages the probabilities of all members, in one pass over X.

    Parameters
    ----------
    estimator : BackpropClassifier or None, default=None
        The members are copies of it. It is not fitted itself. Its `random_state` is not used. None means
        BackpropClassifier().
    n_members : int, default=8
        Number of members.
    param_distributions : dict, list of dict or None, default=None
        Parameters of BackpropClassifier that differ between members, as in scikit-learn's ParameterSampler: by name,
        either a list of values or a distribution of SciPy. Each member draws its own. If all are lists, no combination
        is drawn again before all have been drawn.
    selection : {'average', 'greedy'}, default='average'
        'average' gives all members the same weight. 'greedy' chooses members by the validation set (Caruana et al.,
        2004): it begins with the best member. Then it adds the member, perhaps one that it has already, whose addition
        makes the cost of the average least, `max_picks` times in all. The picks up to the least cost are kept.
    max_picks : int, default=32
        Largest number of picks of 'greedy'.
    scoring : str or callable, default='loss'
        The cost by which 'greedy' chooses. 'loss' is the mean log loss of the averaged probabilities. A scorer of
        scikit-learn is given by its name or as a callable scorer(estimator, X, y); the cost is minus its score. If the
        validation set has weights, the scorer gets them as sample_weight.
    validation_fraction : float, default=0.1
        If a member has `early_stopping`, or if `selection` is 'greedy', this share of the examples is the validation
        set of all members, unless `fit` gets one. No member trains on it. A member with `early_stopping` stops by it.
        Its classes have the proportions of y, unless the target is multilabel. The copies do not use their own
        `validation_fraction`.
    n_jobs : int or None, default=None
        Upper bound on threads, as in BackpropClassifier. In a fit each thread trains one member after the other, and in
        a prediction each thread takes one block of rows after the other. It changes no bit of the result.
    random_state : int, RandomState instance or None, default=None
        Draws the validation set, the parameters of the members and, as in BaggingClassifier, their random states. A
        smaller ensemble has the first members of a larger one.
    verbose : bool, default=False
        Whether to print the estimated memory, and a line for each member that ends.

    Attributes
    ----------
    members_ : list of BackpropClassifier
        The fitted members.
    weights_ : ndarray of shape (len(members_),)
        Weight of each member in the average. The sum is 1. Members of weight 0 make no predictions.
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    failed_members_ : dict of int to str
        For each member whose training failed, from 0 to n_members - 1, the message of its error. Such members are not
        in `members_`.
    validation_rows_ : ndarray of int or None
        The rows of X that were the validation set, in ascending order. None if there was none, or if `fit` got one.
    selection_costs_ : list of float or None
        The cost of the average after each pick. None unless `selection` is 'greedy'.
    n_outputs_ : int
        Number of columns of the average: of labels of a multilabel target, otherwise of classes.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if X has names.

    See Also
    --------
    BackpropClassifier : One network.

    Notes
    -----
    X is laid out once for all members, unless `param_distributions` has a parameter that decides its layout, such as
    `dtype`. During the training, the memory holds the parameters, gradients, moments and activations of one member for
    each thread, and the fitted attributes of the others. `verbose` prints an estimate of this sum. A fit that would
    need more than the machine has raises MemoryError before it begins.

    A member that diverges is left out, with a warning. Ctrl-C ends the training of all members, with a warning. The
    members that have finished an epoch are kept. If there are none, KeyboardInterrupt is raised.

    There is no `partial_fit`, because early stopping and the selection need one validation set for all data. Each
    member in `members_` has its own `partial_fit`, and the ensemble then predicts with the new weights.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastbp import BackpropClassifier, BackpropEnsembleClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> net = BackpropClassifier(solver="lbfgs", hidden_layer_sizes=(5,), max_iter=50, alpha=1)
    >>> clf = BackpropEnsembleClassifier(net, n_members=4, random_state=0).fit(X, y)
    >>> clf.predict(X[::50])
    array([0, 1, 2])
    """

    _parameter_constraints = CONSTRAINTS

    classes_: NDArray

    def __init__(
        self,
        estimator: BackpropClassifier | None = None,
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
            Class labels, or the indicator matrix of a multilabel target.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of the cost of each example, not negative and not all zero.
        X_val, y_val : array-like of shape (n_val, n_features), (n_val,) or (n_val, n_outputs), default=None
            A validation set for members with `early_stopping` and for the selection 'greedy'. It replaces the examples
            that `validation_fraction` would set aside.
        sample_weight_val : array-like of shape (n_val,), default=None
            Weights of the validation set.

        Returns
        -------
        self : BackpropEnsembleClassifier

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
        """Predict the class of the largest average or, for a multilabel target, each label with an average >= 1/2.

        The members' probabilities are averaged. If their outputs are not probabilities, the outputs are averaged.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Examples.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_classes)
            Labels, or the indicator matrix of a multilabel target.

        Raises
        ------
        NotFittedError
            There was no fit.
        ValueError
            X is not valid, or edited attributes of a member do not make a network.
        """
        now = self._as_now()
        return now._averaged(X, lambda votes: Labels(now._target_kind, now.classes_, now.n_outputs_).predict(votes))

    @if_probabilities
    def predict_proba(self, X: ArrayLike) -> Array:
        """Average the probabilities of the members, with their weights.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Examples.

        Returns
        -------
        p : ndarray of shape (n_samples, n_classes)
            Probabilities, in the order of `classes_`.

        Raises
        ------
        AttributeError
            The outputs of the members are not probabilities.
        NotFittedError, ValueError
            As `predict`.
        """
        return self._as_now()._averaged(X, lambda votes: votes)

    @if_probabilities
    def predict_log_proba(self, X: ArrayLike) -> Array:
        """Logarithm of `predict_proba`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Examples.

        Returns
        -------
        log_p : ndarray of shape (n_samples, n_classes)
            Logarithms of the probabilities, in the order of `classes_`; -inf for a probability of 0.

        Raises
        ------
        AttributeError, NotFittedError, ValueError
            As `predict_proba`.
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    # ---------------------------------------------------------------- what differs between classes and numbers

    def _validated(self, X: Any, y: Any, *, reset: bool) -> tuple[Any, NDArray]:
        return checked_labels(self, X, y, reset=reset)

    def _template(self) -> Perceptron:
        return BackpropClassifier() if self.estimator is None else self.estimator

    def _vote(self, member: Any, outputs: Array) -> Array:
        return member._probabilities(outputs) if gives_probabilities(member) else outputs

    def _check_classes(self) -> None:
        check_classes(self.classes_)
        for i, member in enumerate(self.members_):
            if not np.array_equal(member.classes_, self.classes_):
                raise ValueError(
                    f"members_[{i}].classes_ must be the classes_ of the ensemble, {self.classes_!r:.100}, got "
                    f"{member.classes_!r:.100}."
                )

    def _labels(self, y: NDArray) -> NDArray | None:
        target = Labels.of(y, "log_loss", None, subset=False)
        self.classes_ = target.classes
        return None if target.kind == MULTILABEL else y

    def _width(self, members: Sequence[Any], begun: Sequence[Begun]) -> int:
        kinds = {gives_probabilities(member): member.out_activation for member in members}
        if len(kinds) > 1:
            raise ValueError(
                f"param_distributions must give probabilities for all members or for none, got out_activation="
                f"{kinds[True]!r} and {kinds[False]!r}."
            )
        return begun[0].n_outputs if begun[0].target.kind == MULTILABEL else len(self.classes_)

    def _loss(self, begun: Begun, validation: Validation) -> tuple[Prepare, Cost]:
        if not gives_probabilities(self.members_[0]):
            raise ValueError(
                "scoring must be a scorer, such as 'accuracy', because scoring='loss' needs probabilities, and "
                f"out_activation={self.members_[0].out_activation!r} gives none."
            )
        assert isinstance(begun.target, Labels)
        return loss_of_labels(begun.target, validation)

    def _guess(self, y: NDArray) -> Votes:
        shares = y.mean(axis=0) if y.ndim == 2 else np.mean(y[:, np.newaxis] == self.classes_, axis=0)
        return np.tile(shares, (len(y), 1))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


# pickle and skops store the path of a type. The path `fastbp` stays valid when this module moves.
BackpropEnsembleClassifier.__module__ = "fastbp"
