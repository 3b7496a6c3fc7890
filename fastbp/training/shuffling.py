"""`RandomState.shuffle`, compiled: of a large X it would be a tenth of an epoch."""

import ctypes
import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kernels import shuffle as kernels

# Rows above which it is worth loading the kernel, and below which it draws as NumPy does, in 32 bits.
FEWEST, MOST = 1000, 1 << 32
# Exchanges of one call into the kernel: some hundredths of a second, so that Ctrl-C is answered promptly.
CALL_EXCHANGES = 1 << 22


def shuffle(order: NDArray[np.int64], random_state: np.random.RandomState) -> None:
    """`random_state.shuffle(order)`, to the same order and the same state of the generator.

    Parameters
    ----------
    order : ndarray of int64
        Contiguous; overwritten.
    random_state : RandomState
        Compiled code shuffles for its usual generator, MT19937, and longer orders.
    """
    generator: Any = getattr(random_state, "_bit_generator", None)
    compiled = type(random_state) is np.random.RandomState and type(generator) is np.random.MT19937
    if not (compiled and FEWEST <= len(order) <= MOST and _state_is_known()):
        random_state.shuffle(order)
        return
    with generator.lock:  # other threads may draw from it
        for start in range(len(order) - 1, 0, -CALL_EXCHANGES):
            kernels.shuffle(order, start, max(start - CALL_EXCHANGES, 0), _state(generator))


def _state(generator: np.random.MT19937) -> NDArray[np.uint32]:
    """The generator's own memory: its words and how many of them are used. Copying them out and in takes longer than
    it takes to shuffle some thousand rows.
    """
    words = (ctypes.c_uint32 * (kernels.N + 1)).from_address(generator.ctypes.state_address)
    return np.asarray(words)


@functools.lru_cache
def _state_is_known() -> bool:
    """Whether a generator's memory is what `_state` takes it for, which NumPy does not promise."""
    # Compiled here, for the lock of a generator must not be held while waiting for the compiler's: see threads.py.
    kernels.shuffle(np.arange(2), 1, 0, np.zeros(kernels.N + 1, np.uint32))
    generator = np.random.MT19937(0)
    generator.random_raw(5)
    described = generator.state["state"]
    return np.array_equal(_state(generator), [*described["key"], described["pos"]])
