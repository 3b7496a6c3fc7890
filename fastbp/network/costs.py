"""The model of a step's work and memory. It decides the sizes of chunks, blocks and calls, and where threads pay.

Work is counted in floating-point operations. `entries` is the number of stored entries of an average row of a sparse X,
or None for a dense X.
"""

from ..kernels.machine.registers import ROWS
from .architecture import Network
from .memory import round_up

# The chunks of a large batch have about MIN_CHUNK to MAX_CHUNK rows. Within these bounds, a chunk's activations and
# deltas have about CHUNK_BYTES, to stay in a core's second-level cache. In chunks of fewer rows, loading and storing
# gradients would take most of the time.
CHUNK_BYTES, MIN_CHUNK, MAX_CHUNK = 2 << 20, 256, 1024
# A block's activations and deltas have at most about BLOCK_BYTES. BLOCK_BYTES is more than CHUNK_BYTES, because each
# block reads all parameters again. Of the chunks that `chunk_rows` sizes, only those of wide networks have several
# blocks. Measured on two threads, compared with BLOCK_BYTES = 1 << 20: 784-(512,256)-10 in batches of 256 takes 0.98
# times as long in float32 and 0.96 times in float64. 64-(1024,1024)-10 takes 0.98 and 0.92 times as long. Smaller
# networks take the same time.
BLOCK_BYTES = 4 << 20
# If the outputs themselves are not kept, as for predicted classes, OUTPUT_BYTES of them are computed at a time. That is
# enough rows for all threads.
OUTPUT_BYTES = 1 << 23

# In a call into a kernel, a thread does at most CALL_WORK, in some hundredths of a second, so that Ctrl-C is answered
# promptly. Only networks of more than some ten million weights exceed this bound, because a call has at least a tile of
# rows, and in training about a block of rows for each thread.
CALL_WORK = 4e9
# The rough work for a row is ROW_WORK, for a chunk CHUNK_WORK and for a parameter UPDATE_WORK. The multiply-adds of the
# products are not included.
ROW_WORK, CHUNK_WORK, UPDATE_WORK = 1_000, 100_000, 30
# READ_WORK is the work of reading an element of X that is not in a cache. READ_WORK counts only for the bound on a
# call's work, because reading matters only in networks of very few units.
READ_WORK = 50

# If a sparse X stores at least the share DENSE of its elements, kernels that make its rows dense are faster (measured
# with 1,000 features).
DENSE = 0.25
# A network is small if FEW times the number of its parameters is at most the number of activations of a chunk. In a
# small network, the rows of a chunk of at least GROUP_WORK are divided into N_GROUPS groups, see kernels/step.py.
# Measured on two threads: with groups, 4-(500)-1 in batches of 1000 takes 0.7 times as long, and digits 0.9 times.
FEW, GROUP_WORK, N_GROUPS = 3, 4e6, 2


def row_work(network: Network, entries: float | None = None) -> float:
    """Work of one example in a step: forward, delta and gradient."""
    first_inputs = network.widths[0] if entries is None else entries
    return ROW_WORK + 6.0 * (first_inputs * network.widths[1] + network.inner_weights)


def forward_row_work(network: Network, entries: float | None = None) -> float:
    """Work of one example in a prediction. A step takes three times as much, because it adds delta and gradient."""
    return row_work(network, entries) / 3


def uncached_row_work(network: Network, entries: float | None = None) -> float:
    """`row_work` and the work of reading the example from memory."""
    return row_work(network, entries) + READ_WORK * (network.widths[0] if entries is None else entries)


def step_work(network: Network, batch: int, entries: float | None = None) -> float:
    """The work that threads share at a time in training: a batch, or a chunk of a large batch."""
    return row_work(network, entries) * min(batch, chunk_rows(network))


def prediction_work(network: Network, rows: int, entries: float | None = None) -> float:
    """The work that threads share at a time in a prediction: all rows, or a chunk of many rows."""
    return forward_row_work(network, entries) * min(rows, chunk_rows(network))


def row_bytes(network: Network) -> int:
    """Bytes of one row of all a^(l) and z^(l)."""
    return 2 * network.layout.padded_units * network.dtype.itemsize


def chunk_rows(network: Network) -> int:
    """Rows of a chunk. In training, `even_chunk_rows` adjusts this number to the batch."""
    return round_up(min(max(CHUNK_BYTES // row_bytes(network), MIN_CHUNK), MAX_CHUNK), ROWS)


def even_chunk_rows(network: Network, batch: int) -> int:
    """Rows of a chunk: `chunk_rows`, adjusted so that the chunks of a batch are about equal.

    The number must not depend on the threads, because it decides the order in which gradients are summed.
    """
    return round_up(-(-batch // max(1, round(batch / chunk_rows(network)))), ROWS)


def block_rows(network: Network, chunk: int) -> int:
    """Rows of a block of a chunk."""
    return round_up(min(max(BLOCK_BYTES // row_bytes(network), 2 * ROWS), chunk), ROWS)


def output_rows(network: Network) -> int:
    """Rows of outputs that are computed at a time if the outputs themselves are not kept, see OUTPUT_BYTES."""
    return max(1, OUTPUT_BYTES // (network.widths[-1] * network.dtype.itemsize))


def n_groups(network: Network, rows: int) -> int:
    """The number of groups of a chunk's rows, see kernels/step.py. The number does not depend on the threads."""
    is_small = FEW * network.layout.size <= rows * network.layout.padded_units
    return N_GROUPS if is_small and rows * row_work(network) >= GROUP_WORK else 1
