"""The crew of a call: the thread that makes the call, and the workers that come in time to take part in it.

The workers are threads of Python, see `parallel/crew.py`. A worker calls `serve`, and looks there for calls without the
GIL. A call offers a job: the address of a compiled function and the address of its arguments. So it takes a call about
2 us to begin and to end with a worker that is awake (measured; a parallel region of Numba takes 3 us with OpenMP, and
137 us with the threads of its own). All calls of a process share the workers. While one call has them, others go on
without.

Nothing guarantees that the workers run at the same time. They may be asleep, and a busy machine may not give this
process all of its cores. So the first thread waits a moment for the workers, and then divides the work among the
threads that have come. These threads are running, so no barrier waits for a thread that never comes. A late worker
finds no seat, and goes on looking. The number of members never changes a bit of the result.
"""

import threading

from llvmlite import ir
from numba import types
from numba.core import cgutils

from ..compiling import interpreted
from ..compiling.jit import call, entry, inlined, intrinsic, linked, runtime
from .atomics import add_to, exchange, read
from .barrier import AWAKE, BUSY, CODE, CORE, DATA, MEMBERS, MOST, SEATS, STOP, meet
from .cores import LOOKS, current_core, leave, pause

# The first thread sleeps at most NAPS times, some 50 us each time. Then it goes on without the late workers. The system
# often wakes a worker on the first thread's core, and there the worker cannot run before the first thread sleeps.
# Without naps, 40 to 100 % of the calls after a pause of a tenth of a second ran entirely on one thread (measured).
NAPS = 20
# After a call, a worker looks IDLE_LOOKS times for the next one (0.4 ms or more on x86-64), and then between IDLE_NAPS
# naps, for some milliseconds altogether. The calls of a fit come sooner than that, so they find the worker awake. A
# worker that is asleep has to be woken, and has to wait for the GIL. Then a call takes 0.1 ms to begin (measured).
IDLE_LOOKS, IDLE_NAPS = 20_000, 100

MEMBER = (types.intp, types.intp, types.intp)  # the arguments of a job's function: DATA, rank, members


@linked
def assemble(crew, most, code, data):
    """Offer a job to the workers, and wait a moment for them. Returns the number of members, at most `most`.

    This thread must have set BUSY, and is the member of rank 0.
    """
    exchange(crew, CODE, code)
    exchange(crew, DATA, data)
    exchange(crew, MOST, most)
    exchange(crew, MEMBERS, 0)
    exchange(crew, CORE, current_core())
    exchange(crew, SEATS, most - 1)
    looks, awake = 0, read(crew, AWAKE) >= most - 1
    while read(crew, SEATS) > 0 and looks < LOOKS + NAPS:
        pause(looks if awake else LOOKS + NAPS - looks)  # if workers have to wake up, the naps come first
        looks += 1
    members = most - max(exchange(crew, SEATS, 0), 0)
    exchange(crew, MEMBERS, members)
    return members


@linked
def join(crew):
    """(rank, members) of this worker in the job on offer; (0, 0) if there is no seat."""
    seat = read(crew, SEATS)
    if seat > 0:
        seat = add_to(crew, SEATS, -1)
    if seat <= 0:
        return 0, 0
    # Two threads on one core would take turns at each barrier, until the system separates them after some
    # milliseconds. So this thread leaves the first thread's core. Measured after a pause of a tenth of a second: a
    # fit of five epochs of digits takes 3.4 ms, and 11.9 ms without this move.
    core, looks = current_core(), 0
    if core > 0 and core == read(crew, CORE):
        leave(core)
    while read(crew, MEMBERS) == 0:
        pause(looks)
        looks += 1
    return read(crew, MOST) - seat, read(crew, MEMBERS)


def _job_of(function):
    """An intrinsic that returns (code, data) of a job: each worker runs `function(rank, members, *arguments)`.

    The arguments lie on the stack of the caller, so the caller must not return before the members are done.
    """

    arguments_of: dict[int, tuple] = {}  # in interpreted mode: the arguments of the latest job of each thread

    def member(data, rank, members):
        function(rank, members, *arguments_of[data])

    code = interpreted.address(member, MEMBER) if interpreted.ENABLED else 0

    def plain(arguments):
        arguments_of[threading.get_ident()] = arguments
        return code, threading.get_ident()

    @intrinsic(plain)
    def job(typingctx, arguments):
        signature = types.Dispatcher(function).get_call_type(typingctx, (types.intp, types.intp, *arguments), {})

        def codegen(context, builder, sig, args):
            data = cgutils.alloca_once_value(builder, args[0])
            kind = context.call_conv.get_function_type(types.none, MEMBER)
            code = ir.Function(builder.module, kind, builder.module.get_unique_name("fastbp_job"))
            code.linkage = "internal"
            inner = ir.IRBuilder(code.append_basic_block())
            address, rank, members = context.call_conv.get_arguments(code)
            pointer = inner.inttoptr(address, data.type)
            values = [inner.load(cgutils.gep_inbounds(inner, pointer, 0, i)) for i in range(len(arguments))]
            compiled = context.get_function(types.Dispatcher(function), signature)
            context.add_linking_libs(compiled.libs)
            compiled(inner, [rank, members, *values])
            context.call_conv.return_value(inner, context.get_dummy_value())
            word = context.get_value_type(types.intp)
            return context.make_tuple(builder, sig.return_type, [builder.ptrtoint(x, word) for x in (code, data)])

        return types.UniTuple(types.intp, 2)(arguments), codegen

    return job


def together(function):
    """A function `run(crew, most, arguments)` that runs `function(rank, members, *arguments)` in each member of a call.

    This thread has rank 0. The others are workers that come in time. There are at most `most` members.
    """
    job = _job_of(function)

    @linked
    def run(crew, most, arguments):
        members, shares = 1, most > 1 and exchange(crew, BUSY, 1) == 0
        if shares:
            code, data = job(arguments)
            members = assemble(crew, most, code, data)
        # Not by its address: a first fit compiles 0.2 s faster if the function is called directly (measured).
        function(runtime(0), members, *arguments)
        if shares:
            meet(crew, members)
            exchange(crew, BUSY, 0)

    return run


@entry
def serve(crew):
    """Take part in calls of other threads, until none has come for some milliseconds or STOP is set."""
    add_to(crew, AWAKE, 1)
    looks = LOOKS - IDLE_LOOKS  # `pause` sleeps from LOOKS on
    while looks < LOOKS + IDLE_NAPS and read(crew, STOP) == 0:
        rank, members = join(crew)
        if rank > 0:
            call(read(crew, CODE), (read(crew, DATA), rank, members))
            meet(crew, members)
            looks = LOOKS - IDLE_LOOKS
        pause(looks)
        looks += 1
    add_to(crew, AWAKE, -1)


@inlined
def share(first, last, rank, members):
    """[begin, end) of a member's share of the tasks [first, last)."""
    n = last - first
    return first + n * rank // members, first + n * (rank + 1) // members
