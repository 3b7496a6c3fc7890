"""Predictions: the forward pass and the output activation, by one thread or by a crew of threads."""

from .compiling.jit import call, entry, linked, runtime
from .forward import forward
from .gather import Inputs, Rows
from .losses import outputs
from .machine.barrier import meet
from .machine.crew import share, together
from .machine.registers import ROWS
from .machine.simd import part
from .records import Activations


@linked
def _run_predictions(layers, plan, theta, activations, inputs, chunk, out):
    """out = a^(L) of some rows of a chunk, block by block. chunk: these rows, as a `Rows`."""
    layer = layers[layers.size - 1]
    width, padded = layer.width, layer.padded
    stop = chunk.first + chunk.n
    for i in range(chunk.first, stop, plan.block):
        rows = Rows(chunk.order, chunk.start, i, min(plan.block, stop - i))
        forward(layers, theta, activations, inputs, rows, plan, None)
        a = part(activations.a, layer.a + i * padded, rows.n * padded)
        z = part(activations.z, layer.z + i * padded, rows.n * padded)
        outputs(plan.outputs, layer.g, z, a, rows.n, width, padded)
        for r in range(rows.n):
            for k in range(width):
                out[chunk.start + i + r, k] = a[k * rows.n + r]


@linked
def _predict(rank, members, crew, tables, theta, activations, inputs, order, start, stop, n_tasks, out):
    """One member's part of a prediction: its share of each chunk."""
    layers, plan = tables[0], tables[1][0]
    activations, inputs = Activations(*activations), Inputs(*inputs)
    first_task, last_task = share(runtime(0), n_tasks, rank, members)
    for begin in range(start, stop, plan.chunk):
        rows = min(plan.chunk, stop - begin)
        task_rows = -(-rows // (ROWS * n_tasks)) * ROWS
        # The last chunk may be smaller, and then it is divided differently. No member may overwrite rows that another
        # member still uses for the chunk before, so all members meet between two chunks.
        meet(crew, members)
        if plan.number_entries:
            if rank == 0:
                call(plan.number_entries, (inputs, Rows(order, begin, runtime(0), rows), activations.starts))
            meet(crew, members)
        for i in range(first_task, last_task):
            first, last = min(i * task_rows, rows), min((i + 1) * task_rows, rows)
            chunk = Rows(order, begin, first, last - first)
            _run_predictions(layers, plan, theta, activations, inputs, chunk, out)


_predict_together = together(_predict)


@entry
def predict(crew, n_threads, tables, theta, activations, inputs, order, start, stop, n_tasks, out):
    """out[i] = a^(L) of example order[i], for i in [start, stop); overwrites these rows of out. out: (n, S_L).

    crew: see barrier.py. n_threads: the largest number of threads. tables: layers and plan. activations: the fields of
    `Activations`. inputs: the fields of `Inputs`. n_tasks: number of tasks of a chunk.
    """
    arguments = (crew, tables, theta, activations, inputs, order, start, stop, n_tasks, out)
    _predict_together(crew, min(n_threads, n_tasks), arguments)
