"""TableEncoder: from a table with columns of any kind to inputs of a network."""

from __future__ import annotations  # help() then shows ArrayLike, not what it stands for

from collections.abc import Iterator
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils._set_output import _get_output_config
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted, validate_data

from ..version import stamped, unstamped
from .columns import Column
from .features import Dropped, Feature, Options
from .frames import Table, declared_categories, refuse_dask
from .numbers import ENCODINGS, NumberOptions
from .outputs import CrossFit, dense_output, made_different, sparse_output
from .target import TARGET_TYPES, Target

# Quantiles and edges are computed from at most MOST_ROWS examples, which are drawn at random.
MOST_ROWS = 50_000
# An output of at least WIDE columns is sparse if at most a SPARSEST-th of it is not 0, estimated from SAMPLE examples.
# Then it takes at most half of the memory, and the networks of fastbp skip the zeros.
WIDE, SPARSEST, SAMPLE = 256, 4, 1000


class NoColumnError(ValueError):
    """No column of the table can help to predict.

    dropped_columns: all columns, with the reasons why they are left out.
    """

    def __init__(self, message: str, dropped_columns: dict[str, str]):
        super().__init__(message)
        self.dropped_columns = dropped_columns


class TableEncoder(TransformerMixin, BaseEstimator):
    """Encode a table with columns of any kind as inputs of a network.

    X may be a dataframe of pandas or polars, a table of pyarrow, an array or a list of rows. Its columns may hold
    numbers, booleans, categories, text, dates and times, in any mixture of dtypes, with missing values anywhere.

    *Numbers*, booleans and time spans (in seconds) become several inputs each, see `numbers`. *Categories* and text
    become one input per category, or the mean target of the category. *Dates* become the days since 1970 and the day of
    the month, which are encoded as numbers, and the month, the weekday and the hour, which are categories, on the clock
    of the column's time zone. If at least 95 % of the values of a column of text are numbers, or dates of one format,
    the column is encoded as such, and its other values count as missing. If the fit had no other values, `transform`
    refuses them. All outputs are bounded, however large the numbers are.

    Missing values (NaN, None, pandas.NA, NaT) are never an error. A missing number is encoded as the median of its
    column, and the outputs of a missing category are 0 (or the mean target of missing values). If a column has missing
    values in the fit, one more output is 1 where its value is missing, and 0 elsewhere.

    Columns that cannot help are left out, see `dropped_columns_`.

    Parameters
    ----------
    numbers : str, default='ple+robust+scores'
        How to encode numbers: one or more of these names, joined by '+'. 'ple' is the piecewise linear encoding [1]_
        with at most `n_bins` outputs (but see `max_distinct`). Component t of a number x is
        (x - b_(t-1)) / (b_t - b_(t-1)), clipped to [0, 1], for the edges b_0 < ... < b_T. Beyond the edges, the first
        and the last component go on for the width of their bin, to -1 and 2, and then stay constant. 'robust' is
        t / sqrt(1 + (t / 3)^2), where t is the distance from the median in units of the distance of the quartiles.
        'scores' is the normal quantile of the rank. A column of two different numbers always has one output, which is
        0 or 1.
    n_bins : int, default=16
        Most outputs of 'ple' for a column, unless `max_distinct` asks for more.
    max_distinct : int or None, default=None
        A column of at most this many different numbers has an edge at each of them, whatever `n_bins` and `edges` are.
        So a network can give each number its own meaning, as it can for a category. None means n_bins + 1.
    edges : {'quantile', 'tree'}, default='quantile'
        The edges of 'ple'. 'quantile': each bin between two edges has about the same number of examples. A value that
        would fill a bin alone is an edge. 'tree': the edges are the splits of a decision tree that predicts y from this
        column. Without y, they are quantiles.
    categorical_features : 'from_dtype', array-like or None, default='from_dtype'
        The columns that hold categories even if they look like numbers: a mask, indices or names. 'from_dtype' means
        the columns of a dataframe with the dtypes Categorical and Enum. If the parameter leaves out columns of these
        dtypes, they count as text. Text that is not numbers or dates is always categories.
    max_onehot : int, default=50
        A column of at most this many categories has one output per category.
    many : {'target', 'onehot', 'target+onehot'}, default='target'
        The outputs of a column with more categories. 'target' is the mean of y among the examples of the category,
        shrunk towards the mean of all, as in scikit-learn's TargetEncoder; for more than two classes, there is one mean
        per class. Without y, or with a y of more than ten classes or numbers, 'onehot' takes its place.
    min_frequency : int, default=5
        Where each category has its own output, the categories with fewer examples share one output. If there are such
        rare categories, the shared output also stands for categories that the fit did not see. If there are fewer than
        20 * min_frequency examples, a category is rare if it has less than a twentieth of them.
    drop_ids : bool, default=True
        Whether to leave out columns that are like ids: text of which at least 95 % are different, and different
        integers in a column whose name ends in the word id, ids, uuid, guid or key, or is a name such as index. Columns
        of fewer than 20 values are kept.
    target_type : {'auto', 'binary', 'multiclass', 'continuous'}, default='auto'
        What y holds. 'auto' is decided as in scikit-learn's TargetEncoder, with one exception: if y is numbers and more
        than half of them are different, it is 'continuous'.
    dtype : {'float32', 'float64'}, default='float32'
        The dtype of the outputs.
    sparse_output : bool or 'auto', default='auto'
        Whether the output is a sparse matrix. With 'auto', it is one if it has at least 256 columns, at most a quarter
        of its values are not 0, and `set_output` does not ask for a dataframe.
    random_state : int, RandomState instance or None, default=None
        Draws the folds of `fit_transform` and, if there are more than 50,000 examples, the 50,000 of them from which
        quantiles and edges are computed.

    Attributes
    ----------
    dropped_columns_ : dict of str to str
        The columns that are left out, with the reasons. They may be missing from X in `transform`.
    column_kinds_ : dict of str to str
        The other columns, with the kind that each is encoded as: 'numbers', 'categories' or 'dates'.
    source_names_ : ndarray of shape (n_features_out,) of str
        For each output, the name of the column that it comes from.
    source_indices_ : ndarray of shape (n_features_out,) of int
        For each output, the index of this column.
    is_sparse_ : bool
        Whether `transform` returns a sparse matrix.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, if X is a dataframe and all names are strings. Then `transform` takes the columns by name:
        they may be in another order, and further columns are ignored.

    Notes
    -----
    `fit_transform` differs from `fit` and `transform` if a column is encoded by its mean target. For `fit_transform`,
    the means for an example are those of other examples, in five folds. So use `fit_transform` on the examples that a
    network is trained on, as a Pipeline does.

    Categories are compared as text: 1, 1.0 and "1" are the same category. If no text of a column shows whether
    03/04/2024 is in March or in April, it is in March. Numbers must be between -1e300 and 1e300.

    References
    ----------
    .. [1] Y. Gorishniy, I. Rubachev, A. Babenko. On Embeddings for Numerical Features in Tabular Deep Learning. NeurIPS
       2022. https://arxiv.org/abs/2203.05556

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp import TableEncoder
    >>> X = [["Paris", 2.5], ["Rome", None], ["Paris", 4.0], ["Oslo", 4.5]]
    >>> encoder = TableEncoder(numbers="ple").fit(X)
    >>> encoder.get_feature_names_out(["city", "price"]).tolist()
    ['city_Oslo', 'city_Paris', 'city_Rome', 'price_bin1', 'price_bin2', 'price_missing']
    >>> encoder.transform([["Paris", 3.25], ["Bern", np.nan]])
    array([[0. , 1. , 0. , 0.5, 0. , 0. ],
           [0. , 0. , 0. , 1. , 0. , 1. ]], dtype=float32)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "numbers": [str],
        "n_bins": [Interval(Integral, 1, None, closed="left")],
        "max_distinct": [Interval(Integral, 2, None, closed="left"), None],
        "edges": [StrOptions({"quantile", "tree"})],
        "categorical_features": ["array-like", StrOptions({"from_dtype"}), None],
        "max_onehot": [Interval(Integral, 0, None, closed="left")],
        "many": [StrOptions({"target", "onehot", "target+onehot"})],
        "min_frequency": [Interval(Integral, 1, None, closed="left")],
        "drop_ids": ["boolean"],
        "target_type": [StrOptions(set(TARGET_TYPES))],
        "dtype": [StrOptions({"float32", "float64"})],
        "sparse_output": ["boolean", StrOptions({"auto"})],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        *,
        numbers: str = "ple+robust+scores",
        n_bins: int = 16,
        max_distinct: int | None = None,
        edges: str = "quantile",
        categorical_features: ArrayLike | None = "from_dtype",
        max_onehot: int = 50,
        many: str = "target",
        min_frequency: int = 5,
        drop_ids: bool = True,
        target_type: str = "auto",
        dtype: str = "float32",
        sparse_output: bool | str = "auto",
        random_state: int | np.random.RandomState | None = None,
    ):
        self.numbers = numbers
        self.n_bins = n_bins
        self.max_distinct = max_distinct
        self.edges = edges
        self.categorical_features = categorical_features
        self.max_onehot = max_onehot
        self.many = many
        self.min_frequency = min_frequency
        self.drop_ids = drop_ids
        self.target_type = target_type
        self.dtype = dtype
        self.sparse_output = sparse_output
        self.random_state = random_state

    # ---------------------------------------------------------------- fit

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: ArrayLike | None = None) -> Self:
        """Learn how to encode the columns of X.

        Parameters
        ----------
        X : dataframe or array-like of shape (n_samples, n_features)
            The table.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            The target. Only mean targets and the edges of trees depend on it.

        Returns
        -------
        self : TableEncoder
            The fitted encoder.

        Raises
        ------
        ValueError
            If a parameter or y has an illegal value, if X is not a table, has two columns of the same name, infinite
            numbers or complex ones, or if no column is left that can help.
        TypeError
            If X is a sparse matrix or a collection of Dask, or if only some of its columns have names that are strings.
        """
        self._fit(X, y)
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def fit_transform(self, X: Any, y: ArrayLike | None = None) -> Any:
        """Fit the encoder, and encode the examples of the fit. Each mean target is that of other examples.

        Parameters
        ----------
        X : dataframe or array-like of shape (n_samples, n_features)
            The table.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            As in `fit`.

        Returns
        -------
        X_encoded : ndarray, csr_matrix or dataframe of shape (n_samples, n_features_out)
            The outputs.

        Raises
        ------
        ValueError, TypeError
            As in `fit`.
        """
        return self._encode(*self._fit(X, y))

    def _fit(self, X: Any, y: ArrayLike | None) -> tuple[list[Column], CrossFit | None]:
        """Set all attributes. Returns the columns as the features read them, and, with a target, the cross-fit."""
        options = self._options()
        refuse_dask(X)
        table = Table.of(X, self)
        validate_data(self, X, reset=True, skip_check_array=True)  # sets n_features_in_ and feature_names_in_
        names = self._names()
        is_category = declared_categories(self.categorical_features, table, self)
        target = self._target(X, y, options)
        random_state = check_random_state(self.random_state)
        n_rows = table.shape[0]
        rows = np.arange(n_rows)
        if n_rows > MOST_ROWS:
            rows = np.sort(random_state.choice(n_rows, MOST_ROWS, replace=False))
        self.dropped_columns_: dict[str, str] = {}
        features, columns = [], []
        for i, name in enumerate(names):
            try:
                feature, column = Feature.learn(
                    i, table.read(i, name, is_category[i]), is_category[i], options, target, rows
                )
            except Dropped as reason:
                self.dropped_columns_[name] = str(reason)
            else:
                features.append(feature)
                columns.append(column)
        if not features:
            samples = f"{n_rows} sample{'s' if n_rows > 1 else ''}"
            why = "; ".join(f"{name!r}: {reason}" for name, reason in list(self.dropped_columns_.items())[:5])
            message = f"X must have a column that helps to predict, got none in {samples} ({why})."
            raise NoColumnError(message, self.dropped_columns_)
        self._features = features
        self.column_kinds_ = {names[feature.source]: feature.kind for feature in features}
        self.source_indices_ = np.concatenate([np.full(len(each.labels), each.source) for each in features])
        self.source_names_ = np.array(names, dtype=object)[self.source_indices_]
        self.is_sparse_ = self._chooses_sparse(columns)
        return columns, None if target is None else CrossFit(target, random_state)

    def _options(self) -> Options:
        """The parameters that say how to encode columns; raises ValueError if one of them is wrong."""
        encodings = self.numbers.split("+")
        if len(set(encodings)) < len(encodings) or not set(encodings) <= set(ENCODINGS):
            raise ValueError(
                f"numbers must be one or more of {', '.join(map(repr, sorted(ENCODINGS)))}, joined by '+', got "
                f"{self.numbers!r}."
            )
        n_bins = int(self.n_bins)
        max_distinct = n_bins + 1 if self.max_distinct is None else int(self.max_distinct)
        numbers = NumberOptions(tuple(encodings), n_bins, max_distinct, self.edges)
        many = tuple(self.many.split("+"))
        return Options(numbers, self.max_onehot, self.min_frequency, many, bool(self.drop_ids))

    def _target(self, X: Any, y: ArrayLike | None, options: Options) -> Target | None:
        """The target, if there is one and an encoding may depend on it."""
        if y is None:
            return None
        check_consistent_length(X, y)
        depends = options.numbers.edges == "tree" or "target" in options.many
        return Target.of(y, self.target_type) if depends else None

    def _chooses_sparse(self, columns: list[Column]) -> bool:
        """Whether the output should be sparse."""
        if self.sparse_output != "auto":
            return bool(self.sparse_output)
        if len(self.source_indices_) < WIDE or _get_output_config("transform", self)["dense"] != "default":
            return False
        rows = np.arange(min(SAMPLE, len(columns[0].missing)))
        sample = sparse_output(self._features, [column.take(rows) for column in columns], np.dtype(np.float32))
        return sample.nnz * SPARSEST <= sample.shape[0] * sample.shape[1]

    # ---------------------------------------------------------------- transform

    def transform(self, X: Any) -> Any:
        """Encode a table.

        Parameters
        ----------
        X : dataframe or array-like of shape (n_samples, n_features)
            The table.

        Returns
        -------
        X_encoded : ndarray, csr_matrix or dataframe of shape (n_samples, n_features_out)
            The outputs.

        Raises
        ------
        ValueError
            If X lacks a column of the fit, or a column does not hold what it held in the fit: text that is no number
            where all were numbers, dates with a time zone where they had none, infinite numbers.
        TypeError
            If X is a sparse matrix or a collection of Dask.
        NotFittedError
            If the encoder is not fitted.
        """
        return self._encode(self._read(X))

    def _read(self, X: Any) -> list[Column]:
        """The columns of a table as the features read them, after all checks."""
        return [feature.read(column) for feature, column in self._given(X)]

    def _given(self, X: Any) -> Iterator[tuple[Feature, Column]]:
        """Each feature with its column of X. Raises the errors of `transform` about the table as a whole."""
        check_is_fitted(self)
        refuse_dask(X, "transform")
        table, names = Table.of(X, self), self._names()
        places: Any = range(len(names))
        if table.names is not None and hasattr(self, "feature_names_in_"):
            places = self._places_by_name(table.names)
        else:
            validate_data(self, X, reset=False, skip_check_array=True)
        for feature in self._features:
            yield feature, table.read(places[feature.source], names[feature.source], feature.reads_text)

    def _places_by_name(self, given: list[str]) -> dict[int, int]:
        """For the index of each column in the fit, its index in X; raises ValueError if a column is missing."""
        of_name = {name: place for place, name in enumerate(given)}
        missing = [self.feature_names_in_[each.source] for each in self._features]
        missing = [name for name in missing if name not in of_name]
        if missing:
            names = ", ".join(map(repr, missing))
            raise ValueError(f"X must have the columns of the fit, but columns are missing: {names}.")
        return {each.source: of_name[self.feature_names_in_[each.source]] for each in self._features}

    def _encode(self, columns: list[Column], cross_fit: CrossFit | None = None) -> NDArray | sparse.csr_matrix:
        """The outputs for columns that the features have read."""
        make = sparse_output if self.is_sparse_ else dense_output
        return make(self._features, columns, np.dtype(self.dtype), cross_fit)

    # ---------------------------------------------------------------- storing and loading

    def __getstate__(self) -> dict[str, Any]:
        return stamped(super().__getstate__())

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(unstamped(state, type(self).__name__))

    # ---------------------------------------------------------------- names

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[np.object_]:
        """Names of the outputs, such as 'age_bin3', 'city_Paris', 'when_month_12' and 'income_missing'.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            The names of the columns of X. None means those of the fit, or 'x0', 'x1' and so on if there were none.

        Returns
        -------
        names : ndarray of shape (n_features_out,) of str
            The names, all different.

        Raises
        ------
        ValueError
            If `input_features` are not the names of the fit, or not as many as the columns.
        NotFittedError
            If the encoder is not fitted.
        """
        check_is_fitted(self)
        names = _check_feature_names_in(self, input_features)
        labels = [f"{names[each.source]}{label}" for each in self._features for label in each.labels]
        return np.array(made_different(labels), dtype=object)

    def _names(self) -> list[str]:
        """The names of the columns, for messages and attributes."""
        return _check_feature_names_in(self).tolist()

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        tags.transformer_tags.preserves_dtype = []
        return tags


TableEncoder.__module__ = "fastbp"
