"""TabularRegressor: predicts numbers from a table of any columns."""

from __future__ import annotations  # help() then shows ArrayLike, not what it stands for

from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.dummy import DummyRegressor
from sklearn.utils import check_array, column_or_1d
from sklearn.utils._param_validation import StrOptions

from ..data.targets import Values
from ..estimators.base import Perceptron
from ..estimators.parameters import Range
from ..estimators.quantiles import QuantileScoreMixin
from ..estimators.regressor import BackpropRegressor
from ..estimators.validation_set import GivenValidation
from ..typing import Array
from .base import Tabular, Target, fits_table

POSITIVE = ("poisson", "gamma")  # losses whose predictions are positive
# Numbers that are more than FARTHEST units from the center count as FARTHEST, because the square of a larger number may
# overflow in float32. Only numbers in a validation set, or numbers of a tiny weight, can be so far away.
FARTHEST = 1e16
LOSSES = ("squared_error", "absolute_error", "quantile", *POSITIVE)


class TabularRegressor(QuantileScoreMixin, Tabular):
    """An ensemble of networks that predicts numbers from a table of any columns.

    Pass a dataframe as it is: numbers, text, categories, booleans, dates, missing values.

    Parameters
    ----------
    n_networks : int, default=16
        Number of networks in the average. The fit trains more networks than this, and before them up to two small
        networks for each encoding.
    loss : {'squared_error', 'absolute_error', 'quantile', 'poisson', 'gamma'}, default='squared_error'
        The loss, as in BackpropRegressor. It decides what is predicted: the mean, the median ('absolute_error') or
        quantiles. The means of 'poisson' and 'gamma' are positive.
    quantile : float or array-like of float, default=0.5
        The quantile of the loss 'quantile', or several in increasing order, such as (0.05, 0.5, 0.95) for a median and
        an interval of 90 %.
    clip : bool, default=True
        Whether predictions stay within the range of y in the fit.
    categorical_features : 'from_dtype', array-like or None, default='from_dtype'
        The columns that hold categories even if they look like numbers, as in TableEncoder.
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
    networks_ : list of list of BackpropRegressor
        For each encoder, the fitted networks that read its outputs. `encoders_` and `networks_` are empty if no column
        of X helps to predict, or if all y are equal. Then the predictions do not depend on X.
    candidates_ : list of dict
        One dict for each scout, and then one for each candidate of the race, see Notes. 'encoding' is the name of its
        encoding, and 'losses' has the loss of each of its networks on the rows held out. With the loss 'squared_error',
        these losses are 1 - R^2, and 'huber' says whether its networks learn by the Huber loss. With other losses,
        'huber' has no effect. 'losses' is empty if no network of it was trained to the end. The other keys are
        parameters of its networks. The list is empty if there are no networks.
    dropped_columns_ : dict of str to str
        The columns that are left out, with the reasons. They may be missing from X in a prediction.
    column_kinds_ : dict of str to str
        The other columns, with the kind that each is encoded as: 'numbers', 'categories' or 'dates'.
    n_outputs_ : int
        Numbers per prediction.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, if X is a dataframe and all names are strings. Then predictions take the columns by name:
        they may be in another order, and further columns are ignored.

    See Also
    --------
    TabularClassifier : The same for classes.
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

    With the loss 'squared_error', about half of the candidates learn by the Huber loss, so that outliers count less.
    But 1 - R^2 on the rows held out is the loss that compares all epochs and all candidates.

    Missing values, text, dates, ids, constant columns and unseen categories need no preparation, see TableEncoder. If
    no column of X helps to predict, the fit warns. Examples with a sample_weight of zero are left out.

    The memory holds the encoded table once for each encoding that is still in use, and in the trial all networks at
    once. Numbers in wide or long tables have fewer bins, so that the encoded table stays small enough.

    Ctrl-C ends the training with a warning, and the best networks so far are kept. If there is no network yet, the fit
    raises KeyboardInterrupt.

    The networks learn y minus its mean, divided by its standard deviation. With 'poisson' and 'gamma' they learn y
    divided by its mean.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp import TabularRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(-2, 2, (300, 2))
    >>> y = X[:, 0] * X[:, 1]
    >>> reg = TabularRegressor(random_state=0).fit(X, y)
    >>> bool(reg.score(X, y) > 0.9)
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **Tabular._parameter_constraints,
        "loss": [StrOptions(set(LOSSES))],
        "quantile": [Range(Real, 0, 1, closed="neither"), "array-like"],
        "clip": ["boolean"],
    }

    _target_type = "continuous"
    n_outputs_: int
    _unit: dict[str, NDArray[np.float64]]

    def __init__(
        self,
        n_networks: int = 16,
        *,
        loss: str = "squared_error",
        quantile: float | ArrayLike = 0.5,
        clip: bool = True,
        categorical_features: ArrayLike | None = "from_dtype",
        max_seconds: float | None = None,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: bool = False,
    ):
        self.n_networks = n_networks
        self.loss = loss
        self.quantile = quantile
        self.clip = clip
        self.categorical_features = categorical_features
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
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Numbers to predict.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each example, not negative and not all zero.
        X_val, y_val : dataframe or array-like, array-like, default=None
            A validation set. With it, all networks train on all rows of X, and the validation set decides which epochs
            and which networks are kept.
        sample_weight_val : array-like of shape (n_val,), default=None
            Weights of the validation set.

        Returns
        -------
        self : TabularRegressor

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

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Average the predictions of the networks.

        Parameters
        ----------
        X : dataframe or array-like of shape (n_samples, n_features)
            The table.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Numbers in float64. Several quantiles of an example are in increasing order.

        Raises
        ------
        NotFittedError
            There was no fit.
        ValueError, TypeError
            As TableEncoder.transform.
        """
        now = self._as_now()
        values = now._averaged(X) * now._unit["scale"] + now._unit["center"]
        if now.clip:
            values = np.clip(values, now._unit["low"], now._unit["high"])
        target = now._fitted_target()
        return target.predict((np.sort(values, axis=1) if target.quantiles else values) * now._unit["factor"])

    # ---------------------------------------------------------------- what differs between classes and numbers

    def _checked_y(self, y: Any) -> NDArray:
        if np.asarray(y).dtype.kind in "mM":
            raise ValueError(f"y must be numbers, got dtype {np.asarray(y).dtype}.")
        y = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y", estimator=self)
        return column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y

    def _target(self, y: NDArray, sample_weight: NDArray[np.float64] | None) -> Target:
        network = self._network()
        target = network._target_of(y, None, continues=False, incremental=False)  # also checks `quantile`
        target.encode(y, self.loss)  # raises an error for numbers that the loss is not defined for
        columns = y.reshape(len(y), -1)
        self.n_outputs_ = target.n_outputs
        self._unit = _unit(columns, sample_weight, self.loss)
        guesses = [DummyRegressor(strategy="quantile", quantile=q) for q in network._quantiles()]
        if self.loss == "absolute_error":
            guesses = [DummyRegressor(strategy="median")]
        scaled = columns / self._unit["factor"]
        priors = [guess.fit(scaled, scaled, sample_weight).constant_.ravel() for guess in guesses or [DummyRegressor()]]
        prior = (np.concatenate(priors) - self._unit["center"]) / self._unit["scale"]
        learned, is_constant = self._learned(y), bool((columns == columns[0]).all())
        return Target(learned, learned, None, prior[np.newaxis], is_constant, np.ones(len(y), bool))

    def _learned(self, y: NDArray) -> NDArray:
        target = self._fitted_target()
        target.check_held_out(y)
        target.encode(y, self.loss)  # as in `_target`, for a validation set
        with np.errstate(over="ignore"):
            scaled = (y.reshape(len(y), -1) / self._unit["factor"] - self._unit["center"]) / self._unit["scale"]
        Y = np.clip(scaled, -FARTHEST, FARTHEST).astype(np.float32)
        return Y[:, 0] if y.ndim == 1 else Y

    def _network(self, *, huber: bool = False, **parameters: Any) -> Perceptron:
        # A network with the Huber loss is judged by R^2 as well, so that both kinds can be compared.
        squared = self.loss == "squared_error"
        return BackpropRegressor(
            loss="huber" if huber and squared else self.loss,
            quantile=self.quantile,
            monitor="score" if squared else "loss",
            **parameters,
        )

    def _validation_loss(self, network: Any) -> float:
        if self.loss == "squared_error" and network.validation_scores_:
            return 1 - float(np.nanmax(np.asarray(network.validation_scores_), initial=-np.inf))
        return super()._validation_loss(network)

    def _vote(self, network: Any, outputs: Array) -> Array:
        return outputs.astype(np.float64)

    def _fitted_target(self) -> Values:
        quantiles = self._network()._quantiles()
        return Values(self.n_outputs_, quantiles if self.n_outputs_ == len(quantiles) > 1 else ())

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.target_tags.positive_only = self.loss in POSITIVE
        return tags


def _unit(columns: NDArray, sample_weight: NDArray[np.float64] | None, loss: str) -> dict[str, NDArray[np.float64]]:
    """The unit of the networks, and the range of the numbers. A network learns (y / factor - center) / scale.

    columns: the numbers, of shape (n_samples, n_outputs). All values of the dict have the shape (n_outputs,). `factor`
    is a power of two, so that no square overflows or vanishes. `low` and `high` are the range of y / factor. Losses of
    positive numbers need the center 0.
    """
    largest = abs(columns).max(axis=0)
    factor = np.ldexp(1.0, np.frexp(largest)[1] - 1)
    columns = columns / factor
    mean = np.average(columns, axis=0, weights=sample_weight)
    if loss in POSITIVE:
        center, scale = np.zeros_like(mean), mean
    else:
        center, scale = mean, np.sqrt(np.average((columns - mean) ** 2, axis=0, weights=sample_weight))
    scale = np.where(scale > 0, scale, 1.0)
    low, high = columns.min(axis=0), columns.max(axis=0)
    return {"factor": factor, "center": center, "scale": scale, "low": low, "high": high}


# pickle and skops store the path of a type. The path `fastbp` stays valid when this module moves.
TabularRegressor.__module__ = "fastbp"
