"""The cost of a step: one model of work and memory. All sizes and decisions about threads follow from it.

Work is counted in floating-point operations. `entries` is the number of stored entries of an average row of a sparse X,
or None for a dense X.
"""

from ..kernels.machine.registers import ROWS
from .architecture import Network
from .memory import round_up

# A chunk has MIN_CHUNK to MAX_CHUNK rows, about as many as have CHUNK_BYTES of activations and deltas, to stay in a
# core's second-level cache. A chunk of fewer rows than MIN_CHUNK spends its time on loading and storing gradients.
CHUNK_BYTES, MIN_CHUNK, MAX_CHUNK = 2 << 20, 256, 1024
# BLOCK_BYTES is more than CHUNK_BYTES, because each block reads all parameters again. Measured on two threads against
# 1 << 20, with 784-(512,256)-10 in batches of 256 and with 64-(1024,1024)-10: float32 takes 0.98 times as long, float64
# 0.96 and 0.92 times; smaller networks take as long as before.
BLOCK_BYTES = 4 << 20
# Outputs from which only decisions are kept have OUTPUT_BYTES of memory: enough rows for all threads.
OUTPUT_BYTES = 1 << 23

# A call into a kernel does at most CALL_WORK: some hundredths of a second, so that Ctrl-C is answered promptly. A call
# does more only if a single tile of rows is more, or in training a single block per thread: above some ten million
# weights.
CALL_WORK = 4e9
# ROW_WORK, CHUNK_WORK and UPDATE_WORK: rough work of a row, a chunk and a parameter beyond their multiply-adds.
ROW_WORK, CHUNK_WORK, UPDATE_WORK = 1_000, 100_000, 30
# READ_WORK is the work of reading an element of X that is not in a cache. Only the bound of a call uses it, because it
# matters only in networks of very few units.
READ_WORK = 50

# A sparse X is faster when it is made dense if at least the share DENSE of it is stored (measured with 1,000 features).
DENSE = 0.25
# A network is small if FEW times its parameters is at most a chunk's activations. Then a chunk of at least GROUP_WORK
# has N_GROUPS groups of rows, see kernels/step.py. Measured on two threads: 4-(500)-1 in batches of 1000 takes 0.7
# times as long, digits 0.9 times.
FEW, GROUP_WORK, N_GROUPS = 3, 4e6, 2


def row_work(network: Network, entries: float | None = None) -> float:
    """Work of one example in a step: forward, delta and gradient."""
    first_inputs = network.widths[0] if entries is None else entries
    return ROW_WORK + 6.0 * (first_inputs * network.widths[1] + network.inner_weights)


def forward_row_work(network: Network, entries: float | None = None) -> float:
    """Work of one example in a prediction: a third of the work in a step, which has delta and gradient too."""
    return row_work(network, entries) / 3


def uncached_row_work(network: Network, entries: float | None = None) -> float:
    """`row_work` of an example that is read from memory."""
    return row_work(network, entries) + READ_WORK * (network.widths[0] if entries is None else entries)


def step_work(network: Network, batch: int, entries: float | None = None) -> float:
    """Work of a typical parallel region of training: a batch, or a chunk of a large one."""
    return row_work(network, entries) * min(batch, chunk_rows(network))


def prediction_work(network: Network, rows: int, entries: float | None = None) -> float:
    """Work of a typical parallel region of a prediction."""
    return forward_row_work(network, entries) * min(rows, chunk_rows(network))


def row_bytes(network: Network) -> int:
    """Memory of one row of all a^(l) and z^(l)."""
    return 2 * network.layout.padded_units * network.dtype.itemsize


def chunk_rows(network: Network) -> int:
    """Rows of a chunk."""
    return round_up(min(max(CHUNK_BYTES // row_bytes(network), MIN_CHUNK), MAX_CHUNK), ROWS)


def even_chunk_rows(network: Network, batch: int) -> int:
    """Rows of a chunk, such that the chunks of a batch are about equal.

    The number depends only on sizes, because it decides the order in which gradients are summed.
    """
    return round_up(-(-batch // max(1, round(batch / chunk_rows(network)))), ROWS)


def block_rows(network: Network, chunk: int) -> int:
    """Rows of a block of a chunk."""
    return round_up(min(max(BLOCK_BYTES // row_bytes(network), 2 * ROWS), chunk), ROWS)


def output_rows(network: Network) -> int:
    """Rows of outputs that are computed at once if only decisions are kept."""
    return max(1, OUTPUT_BYTES // (network.widths[-1] * network.dtype.itemsize))


def n_groups(network: Network, rows: int) -> int:
    """Groups of a chunk's rows; each sums its gradient separately. The number depends only on sizes."""
    is_small = FEW * network.layout.size <= rows * network.layout.padded_units
    return N_GROUPS if is_small and rows * row_work(network) >= GROUP_WORK else 1
