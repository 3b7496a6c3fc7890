"""NumPy's shuffle and the generator behind it, MT19937 (Matsumoto and Nishimura, 1998), number for number.

NumPy promises that `RandomState` draws the same numbers for ever, so this copy stays right.
"""

import numpy as np

from .compiling.jit import entry, inlined

# The state has N words, then the number of used words. The recurrence combines a word with the word M places ahead.
N, M = 624, 397
UPPER, LOWER, A = np.uint32(1 << 31), np.uint32((1 << 31) - 1), np.uint32(0x9908B0DF)


@inlined
def _twist(state, k, following, other):
    y = (state[k] & UPPER) | (state[following] & LOWER)
    state[k] = state[other] ^ (y >> 1) ^ (A if y & 1 else np.uint32(0))


@inlined
def _renew(state):
    for k in range(N - M):
        _twist(state, k, k + 1, k + M)
    for k in range(N - M, N - 1):
        _twist(state, k, k + 1, k + M - N)
    _twist(state, N - 1, 0, M - 1)


@inlined
def _tempered(y):
    y ^= y >> 11
    y ^= (y << 7) & 0x9D2C5680
    y ^= (y << 15) & 0xEFC60000
    return y ^ (y >> 18)


@entry
def shuffle(x, start, stop, state):
    """For each i from start down to stop + 1, draw j from 0 ... i and exchange x[i] with x[j]; overwrites x and state.

    To draw j, the function takes as many low bits of the generator's next number as i has bits. If the result is above
    i, the function tries the next number.

    x: at most 2^32 elements. For a whole shuffle, start is x.size - 1 and stop is 0. state: (N + 1,).
    """
    i, used, mask = start, 0, 1
    used += state[N]  # now `used` has the type of i, not of the words
    while mask < i:
        mask = 2 * mask + 1
    while i > stop:
        if used == N:
            _renew(state)
            used = 0
        j = _tempered(np.int64(state[used])) & mask
        used += 1
        # There is no branch, because the processor could not predict it. Instead, a number above i exchanges x[i] with
        # itself.
        is_draw = j <= i
        j = j if is_draw else i
        x[i], x[j] = x[j], x[i]
        i -= is_draw
        mask = mask if i > mask >> 1 else mask >> 1
    state[N] = used
