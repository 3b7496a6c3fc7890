"""A training step in phases, run by one thread, or by a crew of threads that meet after each phase.

The examples phase computes all a^(l) and then all delta^(l) of every row. The update phase sums the gradient of each
unit of parameters over the examples, and updates the unit. If the norm of the gradient has a bound, the step phase
updates the units instead, because the norm depends on all units. Within a phase, no row and no unit depends on another
one, so the bits do not depend on the division of work among threads.

A batch is divided into chunks of rows. The size of a chunk has a limit that does not depend on the number of examples,
so more examples do not need more memory. If a batch has several chunks, their gradients are added up in `grad`, and the
update comes with the last chunk.

Threads lose most time when they read each other's results. So in a small network, a chunk with enough work is divided
into groups of rows, and the gradient of each group is summed separately. If there are as many tasks as groups, the
thread that ran a group's examples also sums their gradient. Then threads exchange gradients instead of activations. If
there are more tasks than groups, the group phase sums the gradients. In both cases the update phase adds up the
gradients of the groups. The number of groups does not depend on the number of threads.
"""

from typing import NamedTuple

from numpy.typing import NDArray

from .compiling.jit import call, entry, inlined, linked, runtime
from .delta import backward, delta_of_outputs
from .dropout import Masks
from .forward import forward
from .gather import Inputs, Rows, Targets, total_weight
from .gradient import add_gradient_of_group, sorted_of_group, step_units, update_units
from .machine.barrier import meet
from .machine.crew import share, together
from .machine.pointers import pointed, pointer_to
from .machine.registers import ROWS
from .machine.subnormals import flush_subnormals, restore_subnormals
from .optimizers import step_of
from .records import UNIT_BYTES, Activations, Examples, Extras, Job, Parameters, Scratch, Tables


class Member(NamedTuple):
    """A thread of a crew."""

    rank: int  # from 0
    n: int  # number of members of the crew
    crew: NDArray  # see crew.py
    tile_offset: int  # where the member's part of `tiles` begins


class Work(NamedTuple):
    """The arguments of every phase of a call. A phase gets a pointer to them, see machine/pointers.py."""

    member: Member
    job: Job
    examples: Examples


class Chunk(NamedTuple):
    """A chunk of a batch."""

    start: int  # its first example is order[start]
    rows: int
    batch_begins: bool  # whether this is the first chunk of the batch
    batch_ends: bool  # whether this is the last chunk of the batch


@inlined
def _chunk_at(start, order, plan):
    within = start % plan.batch
    batch_end = min(start - within + plan.batch, order.size)
    rows = min(plan.chunk, batch_end - start)
    return Chunk(start, rows, within == 0, start + rows == batch_end)


@inlined
def _rows_of(i, n, chunk):
    """[begin, end) of part i of a chunk's rows, in n parts of whole tiles. The last parts may be smaller or empty."""
    size = -(-chunk.rows // (ROWS * n)) * ROWS
    return min(i * size, chunk.rows), min((i + 1) * size, chunk.rows)


@linked
def _run_examples(work, start, first, stop, extras):
    """Compute the costs of rows [first, stop) of a chunk, block by block; if the plan learns, also all delta^(l).

    start: the chunk begins with example order[start].
    """
    work = pointed(work)
    job, examples = work.job, work.examples
    layers, plan, activations, scratch = job.layers, job.plan, job.activations, job.scratch
    theta, theta_t = job.parameters.theta, job.parameters.theta_t
    before = flush_subnormals()
    for i in range(first, stop, plan.block):
        rows = Rows(examples.order, start, i, min(plan.block, stop - i))
        forward(layers, theta, activations, examples.inputs, rows, plan, extras)
        delta_of_outputs(layers[layers.size - 1], activations, scratch, examples.targets, rows, plan, job.rates, extras)
        if plan.learns:
            backward(layers, theta, theta_t, activations, i, rows.n, plan, extras)
    restore_subnormals(before)


@inlined
def _prepare_sparse(member, plan, examples, starts, scratch, width, chunk):
    """Number the stored entries of a chunk of a sparse X. If the plan learns, also sort the entries of each group.

    width: number of columns of X.
    """
    if member.rank == 0:
        call(plan.number_entries, (examples.inputs, Rows(examples.order, chunk.start, runtime(0), chunk.rows), starts))
    meet(member.crew, member.n)
    if plan.learns:
        for group in range(*share(runtime(0), plan.n_groups, member.rank, member.n)):
            first, last = _rows_of(group, plan.n_groups, chunk)
            rows = Rows(examples.order, chunk.start, first, last - first)
            call(plan.sort_entries, (examples.inputs, rows, starts, sorted_of_group(scratch, group, width)))


@linked
def examples_phase(work, chunk, extras):
    """Each member runs its share of the chunk's examples.

    If there are several tasks, and as many groups, the member also sums the gradients of the groups in its share.
    """
    member, job, examples = pointed(work)
    plan, n_tasks = job.plan, job.tasks.size - 1
    if plan.examples_begin == 0:
        if member.rank == 0:
            _begin_chunk(job.progress, examples.targets.weights, examples.order, chunk)
        if plan.number_entries:
            width = job.layers[0].width
            _prepare_sparse(member, plan, examples, job.activations.starts, job.scratch, width, chunk)
    begin, end = share(plan.examples_begin, plan.examples_end, member.rank, member.n)
    for i in range(begin, end):
        first, last = _rows_of(i, n_tasks, chunk)
        _run_examples(work, chunk.start, first, last, extras)
        if plan.n_groups == n_tasks > 1:
            add_gradient_of_group(
                work, runtime(0), job.units.size, member.tile_offset, i, first, last - first, chunk.batch_begins
            )
    meet(member.crew, member.n)
    if member.rank == 0 and plan.examples_begin < n_tasks and plan.examples_end == n_tasks:
        for i in range(chunk.rows):  # in the order of the rows
            job.progress.batch_cost += job.scratch.cost[i]


@linked
def group_phase(work, chunk):
    """If there are several groups, and more tasks than groups, sum the gradient of each group's rows."""
    member, job, _ = pointed(work)
    plan, n_tasks, tasks = job.plan, job.tasks.size - 1, job.tasks
    if not 1 < plan.n_groups < n_tasks:
        return
    begin, end = share(plan.update_begin, plan.update_end, member.rank, member.n)
    for i in range(begin, end):
        # In this phase, task i sums the gradient of one group's rows, for the units of n_groups neighbouring tasks. In
        # the update phase, task i has only its own units, and adds up all groups.
        group, task = i % plan.n_groups, i // plan.n_groups * plan.n_groups
        first, last = _rows_of(group, plan.n_groups, chunk)
        add_gradient_of_group(
            work, tasks[task], tasks[task + plan.n_groups], member.tile_offset, group, first, last - first,
            chunk.batch_begins,
        )  # fmt: skip
    meet(member.crew, member.n)


@linked
def update_phase(work, chunk, extras):
    """Each member runs `update_units` for its share of the units.

    If there are several groups, `update_units` runs only after the last chunk of a batch.
    """
    member, job, _ = pointed(work)
    plan, progress = job.plan, job.progress
    begin, end = share(plan.update_begin, plan.update_end, member.rank, member.n)
    if plan.n_groups == 1 or chunk.batch_ends:
        step = _step_at(chunk, job, extras)
        begin, end = job.tasks[begin], job.tasks[end]
        update_units(work, begin, end, member.tile_offset, chunk, step, progress.batch_weight, extras)
    meet(member.crew, member.n)


@linked
def step_phase(work, chunk, extras):
    """If the plan clips, each member updates its share of the units after the last chunk of a batch."""
    member, job, _ = pointed(work)
    plan = job.plan
    if plan.clips and chunk.batch_ends:
        begin, end = share(plan.step_begin, plan.step_end, member.rank, member.n)
        if job.progress.batch_weight > 0.0:
            step_units(work, job.tasks[begin], job.tasks[end], _step_at(chunk, job, extras), extras)
        meet(member.crew, member.n)


@inlined
def _step_at(chunk, job, extras):
    """The `Step` of the batch that has this chunk."""
    plan, factor = job.plan, 1.0
    if extras is not None and extras.factors.size:
        factor = extras.factors[chunk.start // plan.batch]
    return step_of(plan.optimizer, job.rates, factor, job.progress.t + 1, extras)


@inlined
def _begin_chunk(progress, weights, order, chunk):
    """Add the weights of a chunk's examples to the weight W of the batch.

    If the batch begins with this chunk, the cost and the weight of the batch are first set to 0.
    """
    if chunk.batch_begins:
        progress.batch_cost = 0.0
        progress.batch_weight = 0.0
    progress.batch_weight += total_weight(weights, order, chunk.start, chunk.start + chunk.rows)


@inlined
def _finish_batch(progress, squares, alpha, rows):
    """Add J = (sum_i w_i C_i + alpha / 2 sum Theta^2) / W of a batch, times its rows, to the epoch's sum.

    A batch with W = 0 counts neither as a step nor in the epoch.
    """
    if progress.batch_weight > 0.0:
        penalty = 0.0
        if alpha != 0.0:
            for u in range(squares.size):
                penalty += squares[u]
        progress.t += 1
        progress.epoch_loss += (progress.batch_cost + 0.5 * alpha * penalty) / progress.batch_weight * rows
        progress.epoch_rows += rows


@linked
def _train(rank, n, crew, tables, parameters, buffers, examples, order, start, stop, extras):
    """One member's share of each phase of each chunk. rank, n: see `Member`. Other arguments: see `train`."""
    tables = Tables(*tables)
    parameters = Parameters(*parameters)
    member = Member(rank, n, crew, rank * (UNIT_BYTES // parameters.theta.itemsize))
    plan, progress = tables.plan[0], tables.progress[0]
    job = Job(
        tables.layers, tables.units, tables.tasks, plan, parameters, Activations(*buffers[:3]),
        Scratch(*buffers[3:]), tables.rates[0], progress,
    )  # fmt: skip
    data = Examples(Inputs(*examples[:5]), Targets(*examples[5:]), order)
    work = pointer_to(Work(member, job, data))
    while start < stop:
        chunk = _chunk_at(start, order, plan)
        examples_phase(work, chunk, extras)
        group_phase(work, chunk)
        update_phase(work, chunk, extras)
        if extras is not None:
            step_phase(work, chunk, extras)
        if rank == 0 and chunk.batch_ends and plan.finishes:
            rows = (chunk.start + chunk.rows - 1) % plan.batch + 1
            _finish_batch(progress, job.scratch.squares, job.rates.alpha, rows)
        start += chunk.rows


_train_together = together(_train)


@inlined
def _extras_of(extras):
    seed, places, factors, norms = extras
    return Extras(Masks(seed, places), factors, norms)


@entry
def train(crew, n_threads, tables, parameters, buffers, examples, order, start, stop):
    """Train on examples order[start:stop], which are whole chunks, batch by batch.

    Batches begin at multiples of the plan's batch in `order`. If the plan has no sweep, theta stays as it is, and the
    gradient stays in `grad`. If `plan.learns` is 0, the call only adds up costs, and its tasks have no units. A chunk
    that is too much work for one call takes several calls with the same start and stop. The first of these calls do the
    tasks of the examples phase, and the next ones those of the update phase. If the plan clips, further calls do those
    of the step phase.

    crew: see barrier.py. n_threads: the largest number of threads. tables: the fields of `Tables`. parameters: the
    fields of `Parameters`. buffers: the fields of `Activations`, then those of `Scratch`. examples: the fields of
    `Inputs`, then those of `Targets`.
    """
    most = min(n_threads, tables[2].size - 1)
    _train_together(crew, most, (crew, tables, parameters, buffers, examples, order, start, stop, None))


@entry
def train_with_extras(crew, n_threads, tables, parameters, buffers, extras, examples, order, start, stop):
    """`train` with extras: the fields of `dropout.Masks`, then the other fields of `Extras`."""
    most, more = min(n_threads, tables[2].size - 1), _extras_of(extras)
    _train_together(crew, most, (crew, tables, parameters, buffers, examples, order, start, stop, more))
