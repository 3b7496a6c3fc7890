"""The inputs of a network: standardised, and checked before the network computes with them."""

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import issparse

from .errors import UserError
from .tables import LARGEST, Columns

if TYPE_CHECKING:
    from pandas import DataFrame

# A standardised input may be at most FARTHEST. Then the network's weighted sums stay far below the largest float32.
FARTHEST = LARGEST**0.5


def scaled(pipeline: Any, columns: Columns, X: "DataFrame", path: str) -> Any:
    """The inputs of a pipeline's last step; raises UserError if a number is too far from those of the training."""
    Z = pipeline[:-1].transform(X)
    numeric = Z[:, : len(columns.numeric_inputs)]
    numeric = numeric.toarray() if issparse(numeric) else numeric
    if numeric.shape[1] and abs(numeric).max() > FARTHEST:
        row, column = np.argwhere(abs(numeric) > FARTHEST)[0]
        name = columns.numeric_inputs[column]
        place = f"column {name!r} of {path} has {X[name].iloc[row]:g} in row {X.index[row] + 1}"
        raise UserError(f"{place}, too far from the numbers of the training")
    return Z
