"""`RandomState.shuffle`, compiled, because NumPy's own takes a tenth of the time of an epoch of many examples."""

import ctypes
import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kernels import shuffle as kernels

# For fewer rows than FEWEST, it does not pay to load the kernel. For at most MOST rows, NumPy draws in 32 bits, like
# the kernel.
FEWEST, MOST = 500, 1 << 32
# A call into the kernel exchanges at most CALL_EXCHANGES pairs, in some hundredths of a second, so that Ctrl-C is
# answered promptly.
CALL_EXCHANGES = 1 << 22


def shuffle(order: NDArray[np.int64], random_state: np.random.RandomState) -> None:
    """Shuffle like `random_state.shuffle(order)`: the order and the generator's state are the same afterwards.

    Parameters
    ----------
    order : ndarray of int64
        Contiguous; overwritten.
    random_state : RandomState
        If its generator is the usual one, MT19937, compiled code shuffles long orders.
    """
    generator: Any = getattr(random_state, "_bit_generator", None)
    compiled = type(random_state) is np.random.RandomState and type(generator) is np.random.MT19937
    if not (compiled and FEWEST <= len(order) <= MOST and _state_is_known()):
        random_state.shuffle(order)
        return
    with generator.lock:  # other threads may draw from the generator
        for start in range(len(order) - 1, 0, -CALL_EXCHANGES):
            kernels.shuffle(order, start, max(start - CALL_EXCHANGES, 0), _state(generator))


def _state(generator: np.random.MT19937) -> NDArray[np.uint32]:
    """The generator's own memory: its words and the number of used words.

    The result is a view, because copying the words out and back would take longer than shuffling some thousand rows.
    """
    words = (ctypes.c_uint32 * (kernels.N + 1)).from_address(generator.ctypes.state_address)
    return np.asarray(words)


@functools.lru_cache
def _state_is_known() -> bool:
    """Whether a generator's memory has the layout that `_state` assumes. NumPy does not promise this layout."""
    # This call compiles the kernel, because a thread that holds a generator's lock must not wait for the compiler's
    # lock, see parallel/fork.py.
    kernels.shuffle(np.arange(2, dtype=np.int64), 1, 0, np.zeros(kernels.N + 1, np.uint32))
    generator = np.random.MT19937(0)
    generator.random_raw(5)
    described = generator.state["state"]
    return np.array_equal(_state(generator), [*described["key"], described["pos"]])
