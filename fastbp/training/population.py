"""A population: networks that train side by side, one thread each.

Threads that share a step wait for each other in each of its phases. Threads that train different networks never wait.
So C threads use their cores better on K networks than on one. Searches and ensembles train populations.
"""

import contextlib
import functools
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Generic, Protocol, TypeVar

from ..parallel.team import side_by_side
from ..parallel.threads import in_threads


class Trainable(Protocol):
    """A fit under way that can wait between two epochs, such as `estimators.run.Run`."""

    @property
    def ended(self) -> bool: ...

    def advance(self, n_epochs: int | None = None) -> None: ...

    def interrupt_by(self, event: threading.Event) -> None: ...


Member = TypeVar("Member", bound=Trainable)
Result = TypeVar("Result")


class Population(Generic[Member]):
    """Members that train side by side. No member's bits depend on the others, or on the number of threads.

    A member begins when it is trained for the first time. So if each member is trained to its end and then dropped, the
    memory holds one member for each thread.

    Parameters
    ----------
    begin : sequence of callable
        begin[i]() returns member i, checked and prepared. It is called in the thread that then trains the member.
    n_jobs : int or None
        The largest number of threads, as in `parallel.team.upper_bound`.

    Attributes
    ----------
    errors : dict of int to Exception
        For each member that failed in `advance`, its exception. Such a member is dropped, and the others go on.
    """

    def __init__(self, begin: Sequence[Callable[[], Member]], n_jobs: int | None):
        self._begin, self._n_jobs = begin, n_jobs
        self._members: dict[int, Member] = {}
        self._interrupted = threading.Event()
        self.errors: dict[int, Exception] = {}

    def __getitem__(self, i: int) -> Member:
        """Member i, which has begun and was not dropped."""
        return self._members[i]

    @property
    def begun(self) -> list[int]:
        """The members that have begun and were not dropped, in ascending order."""
        return sorted(self._members)

    def drop(self, i: int) -> None:
        """Free the memory of a member."""
        self._members.pop(i, None)

    def interrupt(self) -> None:
        """After this, `population[i].advance()` ends member i as Ctrl-C would, until `advance` or `each` is called."""
        self._interrupted.set()

    def advance(
        self,
        members: Iterable[int],
        n_epochs: int | Callable[[int], int] | None,
        after: Callable[[int, Member], Result],
        seconds: float | None = None,
    ) -> dict[int, Result]:
        """Train these members for n_epochs more epochs, or to their ends. Then call after(i, member) for each.

        Parameters
        ----------
        members : iterable of int
        n_epochs : int, callable or None
            A function gives the number for member i. None: to the end.
        after : callable
            Called in the thread that has trained the member. It may drop the member.
        seconds : float, optional
            After this time, every member in training ends with the weights that it has, as after Ctrl-C. No other
            member begins.

        Returns
        -------
        results : dict of int to the result of `after`
            Members that failed have no result, and `errors` has their exceptions. Members that ended because the time
            was over have no result either.

        Raises
        ------
        KeyboardInterrupt
            Ctrl-C was pressed. Every member that was training has ended with the weights that it had.
        Exception
            Any exception of `after`. The members that have not begun yet do not begin.
        """

        members, results = list(members), dict[int, Result]()

        def train(i: int) -> None:
            try:
                member = self._begun(i)
                member.advance(n_epochs(i) if callable(n_epochs) else n_epochs)
            except Exception as error:
                self.errors[i] = error
                self.drop(i)
            else:
                if not self._interrupted.is_set():
                    results[i] = after(i, member)

        self._in_threads(train, members, seconds)
        return {i: results[i] for i in members if i in results}

    def each(self, members: Iterable[int], work: Callable[[int, Member], Result]) -> dict[int, Result]:
        """Call work(i, member) for each of these members, side by side; `work` advances the member itself.

        Returns the results. Raises KeyboardInterrupt as `advance` does, and any exception of `begin` or of `work`. Then
        the members that have not begun yet do not begin.
        """
        return self._in_threads(lambda i: work(i, self._begun(i)), members, None)

    def _begun(self, i: int) -> Member:
        """Member i; it begins now if it has not begun before."""
        if i not in self._members:
            self._members[i] = self._begin[i]()
            self._members[i].interrupt_by(self._interrupted)
        return self._members[i]

    def _in_threads(self, job: Callable[[int], Any], members: Iterable[int], seconds: float | None) -> dict[int, Any]:
        """{i: job(i)} for these members."""
        members = list(members)
        self._interrupted.clear()
        jobs = [functools.partial(job, i) for i in members]
        with _timer(seconds, self._interrupted):
            return dict(zip(members, in_threads(jobs, side_by_side(self._n_jobs), self._interrupted), strict=True))


@contextlib.contextmanager
def _timer(seconds: float | None, event: threading.Event) -> Iterator[None]:
    """Within this context, set the event after this many seconds. None: never."""
    if seconds is None:
        yield
        return
    timer = threading.Timer(min(max(seconds, 0), threading.TIMEOUT_MAX), event.set)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def forget_frames(error: BaseException | None) -> None:
    """Let an error, and those that led to it, forget the frames that they went through: frames have the data of a fit.

    A frame and its error refer to each other, so the data would otherwise stay until Python looks for such circles.
    """
    if error is not None and error.__traceback__ is not None:
        error.__traceback__ = None
        forget_frames(error.__cause__)
        forget_frames(error.__context__)
