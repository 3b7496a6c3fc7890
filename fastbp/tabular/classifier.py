"""TabularClassifier: predicts classes from a table of any columns."""

from __future__ import annotations  # help() then shows ArrayLike, not what it stands for

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils._param_validation import StrOptions

from ..data.targets import Labels, positions, product_in_unit
from ..estimators.base import Perceptron
from ..estimators.class_weights import class_weights
from ..estimators.classifier import BackpropClassifier
from ..estimators.predicting import check_classes
from ..estimators.validation_set import GivenValidation
from ..typing import Array
from .base import Tabular, Target, fits_table
from .labels import labels_of


class TabularClassifier(ClassifierMixin, Tabular):
    """An ensemble of networks that predicts classes from a table of any columns.

    Pass a dataframe as it is: numbers, text, categories, booleans, dates, missing values.

    Parameters
    ----------
    n_networks : int, default=16
        Number of networks in the average. The fit trains more networks than this, and before them up to two small
        networks for each encoding.
    categorical_features : 'from_dtype', array-like or None, default='from_dtype'
        The columns that hold categories even if they look like numbers, as in TableEncoder.
    class_weight : dict, 'balanced' or None, default=None
        Weights of the classes, as in BackpropClassifier. Weights usually make the log loss larger.
    max_seconds : float or None, default=None
        After this many seconds, the training ends with the best networks so far. At least one network is trained for
        one epoch. None means no limit. With a limit, two fits may differ, because the speed of the machine differs.
    n_jobs : int or None, default=None
        Upper bound on threads, as in BackpropClassifier. Each thread trains one network after the other. The number of
        threads changes no bit of the result.
    random_state : int, RandomState instance or None, default=None
        Draws the rows that each round holds out, the candidates, and the first weights of their networks.
    verbose : bool, default=False
        Whether to show how far the training has come. On a terminal, a line shows the round, the networks, their epochs
        and the best validation loss so far. Elsewhere, there is a line for each round, and one every ten seconds.

    Attributes
    ----------
    encoders_ : list of TableEncoder
        The fitted encoders.
    networks_ : list of list of BackpropClassifier
        For each encoder, the fitted networks that read its outputs. `encoders_` and `networks_` are empty if no column
        of X helps to predict, or if all y are equal. Then the predictions do not depend on X.
    candidates_ : list of dict
        One dict for each scout, and then one for each candidate of the race, see Notes. 'encoding' is the name of its
        encoding, and 'losses' has the log loss of each of its networks on the rows held out. 'losses' is empty if no
        network of it was trained to the end. The other keys are parameters of its networks. 'huber' has no effect on
        classes. The list is empty if there are no networks.
    dropped_columns_ : dict of str to str
        The columns that are left out, with the reasons. They may be missing from X in a prediction.
    column_kinds_ : dict of str to str
        The other columns, with the kind that each is encoded as: 'numbers', 'categories' or 'dates'.
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, if X is a dataframe and all names are strings. Then predictions take the columns by name:
        they may be in another order, and further columns are ignored.

    See Also
    --------
    TabularRegressor : The same for numbers.
    TableEncoder : The encodings.

    Notes
    -----
    No encoding is the best for all tables, so the table is encoded in several ways. First, scouts compare the
    encodings: each encoding has a scout, which trains two small networks, and their losses rank the encodings. If an
    encoding is equal to an earlier one on this table, its scout trains no network. Then candidates run a race. A
    candidate has one of the three best encodings. The parameters of its networks are drawn: layers, activation,
    dropout, learning rate, weight decay and others.

    The race has four rounds, or `n_networks` rounds if `n_networks` is less than four. Each round holds out another
    eighth of the rows. In each round, every candidate that is still in the race trains a network on the other rows, by
    Adam with decoupled weight decay. The network keeps the weights of the epoch with the least loss on the rows held
    out. The first round begins with a trial: all candidates train for a fifth of their epochs, and the half with the
    larger losses leaves. After the first round, half of the others leave. So a quarter of the candidates stays to the
    end, and the predictions are averages over `n_networks` of their networks. These networks were trained on different
    rows. With a validation set of your own, all networks train on all rows, and the validation set takes the part of
    the rows held out. A table of fewer than 16 rows has parts of two or three rows instead of eighths. If there are
    fewer than four rows, none is held out, and the losses are those of the training.

    Missing values, text, dates, ids, constant columns and unseen categories need no preparation, see TableEncoder. If
    no column of X helps to predict, the fit warns. Examples with a sample_weight of zero are left out.

    The memory holds the encoded table once for each encoding that is still in use, and in the trial all networks at
    once. Numbers in wide or long tables have fewer bins, so that the encoded table stays small enough.

    Ctrl-C ends the training with a warning, and the best networks so far are kept. If there is no network yet, the fit
    raises KeyboardInterrupt.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp import TabularClassifier
    >>> rng = np.random.default_rng(0)
    >>> cities, ages = rng.choice(["Paris", "Rome"], 200), rng.integers(20, 70, 200)
    >>> X = np.column_stack([cities, ages]).astype(object)
    >>> y = np.where((cities == "Paris") == (ages > 45), "bus", "car")
    >>> clf = TabularClassifier(random_state=0).fit(X, y)
    >>> clf.predict([["Paris", 60], ["Paris", 25], ["Rome", 60]])
    array(['bus', 'car', 'car'], dtype='<U3')
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **Tabular._parameter_constraints,
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }

    _target_type = "multiclass"
    classes_: NDArray

    def __init__(
        self,
        n_networks: int = 16,
        *,
        categorical_features: ArrayLike | None = "from_dtype",
        class_weight: dict[Any, float] | str | None = None,
        max_seconds: float | None = None,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: bool = False,
    ):
        self.n_networks = n_networks
        self.categorical_features = categorical_features
        self.class_weight = class_weight
        self.max_seconds = max_seconds
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @fits_table
    def fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: Any = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> Self:
        """Train networks on a table, and choose the best.

        Parameters
        ----------
        X : dataframe or array-like of shape (n_samples, n_features)
            The table: of pandas, polars or pyarrow, or an array, with columns of any kind.
        y : array-like of shape (n_samples,)
            Class labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each example, not negative and not all zero.
        X_val, y_val : dataframe or array-like, array-like, default=None
            A validation set. With it, all networks train on all rows of X, and the validation set decides which epochs
            and which networks are kept.
        sample_weight_val : array-like of shape (n_val,), default=None
            Weights of the validation set.

        Returns
        -------
        self : TabularClassifier

        Raises
        ------
        ValueError
            A parameter or the data is not valid, or all candidates failed.
        TypeError
            X is a sparse matrix or a collection of Dask.
        MemoryError
            The machine has less memory than the fit needs.

        Warns
        -----
        UserWarning
            No column of X helps to predict, the time was over, or Ctrl-C ended the training.
        FitFailedWarning
            The training of some candidates failed.
        """
        return self._fit(X, y, sample_weight, GivenValidation(X_val, y_val, sample_weight_val))

    def predict(self, X: Any) -> NDArray:
        """Predict the class of the largest average probability.

        Parameters
        ----------
        X : dataframe or array-like of shape (n_samples, n_features)
            The table.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Labels.

        Raises
        ------
        NotFittedError
            There was no fit.
        ValueError, TypeError
            As TableEncoder.transform.
        """
        now = self._as_now()
        votes = now._averaged(X)
        check_classes(now.classes_)
        return now.classes_[votes.argmax(axis=1)]

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Average the probabilities of the networks.

        Parameters
        ----------
        X : dataframe or array-like of shape (n_samples, n_features)
            The table.

        Returns
        -------
        p : ndarray of shape (n_samples, n_classes)
            Probabilities, in the order of `classes_`.

        Raises
        ------
        NotFittedError, ValueError, TypeError
            As `predict`.
        """
        p = self._as_now()._averaged(X)
        return p / p.sum(axis=1, keepdims=True)  # the float32 of networks sum to 1 only roughly

    def predict_log_proba(self, X: Any) -> NDArray[np.float64]:
        """Logarithm of `predict_proba`.

        Parameters
        ----------
        X : dataframe or array-like of shape (n_samples, n_features)
            The table.

        Returns
        -------
        log_p : ndarray of shape (n_samples, n_classes)
            Logarithms of the probabilities, in the order of `classes_`; -inf for a probability of 0.

        Raises
        ------
        NotFittedError, ValueError, TypeError
            As `predict`.
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    # ---------------------------------------------------------------- what differs between classes and numbers

    def _checked_y(self, y: Any) -> NDArray:
        return labels_of(y)

    def _target(self, y: NDArray, sample_weight: NDArray[np.float64] | None) -> Target:
        labels = Labels.of(y, "log_loss", None, subset=False)
        self.classes_ = labels.classes
        codes, n = positions(self.classes_, y), len(self.classes_)
        if isinstance(self.class_weight, dict) and (unknown := set(self.class_weight) - set(self.classes_.tolist())):
            raise ValueError(f"class_weight must have weights of classes of y only, got {sorted(map(str, unknown))}.")
        weights = np.ones(len(y)) if sample_weight is None else sample_weight
        of_classes = class_weights(self.class_weight, labels, y, incremental=False)
        if of_classes is not None:
            weights, _ = product_in_unit([weights, of_classes[0][codes]])
        if not weights.any():
            raise ValueError(f"class_weight must leave an example with a positive weight, got {self.class_weight!r}.")
        sums = np.bincount(codes, weights, n)
        return Target(y, codes, codes, sums[np.newaxis] / sums.sum(), n == 1, weights > 0)

    def _learned(self, y: NDArray) -> NDArray:
        Labels.of(np.asarray(self.classes_), "log_loss", None, subset=False).check_held_out(y)
        return y

    def _network(self, *, huber: bool = False, **parameters: Any) -> Perceptron:
        return BackpropClassifier(class_weight=self.class_weight, monitor="loss", **parameters)

    def _vote(self, network: Any, outputs: Array) -> Array:
        return network._probabilities(outputs).astype(np.float64)


# pickle and skops store the path of a type. The path `fastbp` stays valid when this module moves.
TabularClassifier.__module__ = "fastbp"
