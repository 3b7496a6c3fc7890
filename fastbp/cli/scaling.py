"""The inputs of a network: standardised, and checked before it computes with them."""

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import issparse

from .errors import UserError
from .tables import LARGEST, Columns

if TYPE_CHECKING:
    from pandas import DataFrame

# The network's weighted sums of inputs of FARTHEST standard deviations stay far below the largest float32.
FARTHEST = LARGEST**0.5


def scaled(pipeline: Any, columns: Columns, X: "DataFrame", path: str) -> Any:
    """What the last step of a pipeline reads; raises UserError for a number that float32 would not hold."""
    Z = pipeline[:-1].transform(X)
    numeric = Z[:, : len(columns.numeric_inputs)]
    numeric = numeric.toarray() if issparse(numeric) else numeric
    if numeric.shape[1] and abs(numeric).max() > FARTHEST:
        row, column = np.argwhere(abs(numeric) > FARTHEST)[0]
        name = columns.numeric_inputs[column]
        place = f"column {name!r} of {path} has {X[name].iloc[row]:g} in row {X.index[row] + 1}"
        raise UserError(f"{place}, too far from the numbers of the training")
    return Z
