"""The steps from the columns of a table to a network."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from ..estimators.classifier import BackpropClassifier
from ..estimators.regressor import BackpropRegressor
from .limits import FEWEST_OF_CATEGORY, MOST_CATEGORIES
from .tables import Columns

# On a validation set of fewer than FEWEST_TO_STOP_BY rows, chance would decide when training stops.
FEWEST_TO_STOP_BY = 100
MISSING = "(missing)"


def preprocessor(columns: Columns) -> ColumnTransformer:
    """The step that takes the columns of `Columns.taken_from`, standardises numbers and one-hot encodes categories."""
    numeric = make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True),
        # The first scaler only subtracts the mean. Without it, the second would take a column of large, close values
        # for constant, such as 10^17 and 10^17 + 100.
        StandardScaler(with_std=False),
        StandardScaler(),
    )
    categorical = make_pipeline(
        SimpleImputer(strategy="constant", fill_value=MISSING),
        OneHotEncoder(
            handle_unknown="infrequent_if_exist", min_frequency=FEWEST_OF_CATEGORY, max_categories=MOST_CATEGORIES
        ),
    )
    return ColumnTransformer(
        [("numeric", numeric, columns.numeric_inputs), ("categorical", categorical, columns.categorical_inputs)],
    )


def network(y: NDArray, *, hidden: tuple[int, ...], epochs: int, seed: int) -> Any:
    """An untrained network for the targets y.

    The network has early stopping if a tenth of y is large enough to validate with, and if each class has two rows or
    more.
    """
    n_validation, classifies = len(y) // 10, y.dtype.kind != "f"
    counts = np.unique(y, return_counts=True)[1] if classifies else np.array([len(y)])
    parameters: dict[str, Any] = {
        "hidden_layer_sizes": hidden,
        "max_iter": epochs,
        "random_state": seed,
        "early_stopping": bool(n_validation >= max(FEWEST_TO_STOP_BY, len(counts)) and counts.min() > 1),
        "dtype": "float32",
    }
    if classifies:
        return BackpropClassifier(**parameters)
    return TransformedTargetRegressor(BackpropRegressor(**parameters), transformer=StandardScaler())
