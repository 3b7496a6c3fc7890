"""The words that the threads of a crew share, and the barrier where they wait for each other.

A step of training may take only some tens of microseconds, so the threads of a call stay together for all of its steps,
and meet at a barrier between the phases of each step. See crew.py for how they come together.
"""

from ..compiling.jit import linked
from .atomics import add_to, exchange, read
from .cores import pause

# Fields of `crew`, an array of 64-bit integers that all threads of this process share. Each field has a cache line of
# its own.
#   BUSY     1 while the workers are at the disposal of a call
#   SEATS    number of workers that may still join the call; 0 or less: none
#   MOST     number of threads that the call may have at most
#   MEMBERS  number of threads that take part in the call; 0 until that is known
#   CODE     address of the function that each member runs
#   DATA     address of the arguments of the function
#   CORE     the core of the first member
#   WAITING  number of members that wait at the barrier
#   PASSED   number of times that members have passed the barrier
#   AWAKE    number of workers that look for calls or work on one
#   STOP     1 if the workers must go home
BUSY, SEATS, MOST, MEMBERS, CODE, DATA, CORE, WAITING, PASSED, AWAKE, STOP, CREW_FIELDS = range(0, 192, 16)


@linked
def meet(crew, members):
    """Wait for all members. Afterwards every member sees everything that any member wrote before."""
    if members == 1:
        return
    passed, looks = read(crew, PASSED), 0
    if add_to(crew, WAITING, 1) == members - 1:
        exchange(crew, WAITING, 0)
        exchange(crew, PASSED, passed + 1)
    else:
        while read(crew, PASSED) == passed:
            pause(looks)
            looks += 1
