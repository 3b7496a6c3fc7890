"""How a fitted encoder reads the columns of a table, and the values that it does not understand."""

from typing import Any, NamedTuple

from .columns import Mask
from .encoder import TableEncoder


class Reading(NamedTuple):
    """A column of a table, as a fitted encoder reads it.

    Parameters
    ----------
    name : str
        The name of the column.
    kind : str
        'numbers', 'categories' or 'dates'.
    date_format : str or None
        How text is read as dates, as `datetime.strptime` takes it, or 'ISO 8601'.
    unknown : ndarray of bool of shape (n_samples,)
        Where the table has a value that is not a number or not a date, or a category that the fit did not see.
    """

    name: str
    kind: str
    date_format: str | None
    unknown: Mask


def readings(encoder: TableEncoder, X: Any) -> list[Reading]:
    """How an encoder reads the columns of X that it encodes.

    Raises the errors of `TableEncoder.transform` about the table as a whole. Values that the encoder does not
    understand are not errors here.
    """
    return [
        Reading(column.name, feature.kind, feature.date_format, feature.unknown(column))
        for feature, column in encoder._given(X)
    ]
