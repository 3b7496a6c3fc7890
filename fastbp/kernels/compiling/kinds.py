"""Kinds: the types that a deferred kernel declares for its parameters.

A kind is a Numba type, or a function that returns a Numba type. The function's argument is the type of a flat array of
the network's dtype.
"""

import numba
import numpy as np
from numba import types

INT, BOOL, FLOAT = types.intp, types.boolean, types.float64
INTS, INTS32 = types.Array(types.int64, 1, "C"), types.Array(types.int32, 1, "C")
FLOATS, FLOATS32 = types.Array(types.float64, 1, "C"), types.Array(types.float32, 1, "C")


def VECTOR(vector):
    """The kind of a flat array of the network's dtype."""
    return vector


def named(cls, *kinds):
    """The kind of a NamedTuple whose fields have these kinds."""
    return lambda vector: types.BaseTuple.from_types(types_of(kinds, vector), cls)


def record(fields):
    """The dtype of a structured array, whose elements are records. `fields` maps each field's name to its dtype."""
    return np.dtype((np.record, np.dtype(list(fields.items()), align=True)))


def kind_of_record(dtype):
    """The kind of an element of a structured array."""
    return numba.from_dtype(dtype)


def types_of(kinds, vector):
    """The Numba types of these kinds. vector: the type of a flat array of the network's dtype."""
    return tuple(kind if isinstance(kind, types.Type) else kind(vector) for kind in kinds)
