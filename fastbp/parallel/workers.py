"""Jobs in Python threads side by side, each with one thread for its kernels."""

import contextvars
import threading
from collections.abc import Callable, Iterable
from typing import TypeVar

from sklearn import config_context, get_config

from .team import one_thread

LOOK_SECONDS = 0.1  # so often the waiting caller looks for Ctrl-C. A wait without an end would not hear it on Windows.

Item = TypeVar("Item")
Result = TypeVar("Result")


def side_by_side(
    job: Callable[[Item], Result],
    items: Iterable[Item],
    n_threads: int,
    interrupted: threading.Event,
) -> dict[Item, Result]:
    """{item: job(item)}, with several jobs at once. Jobs begin in the order of the items.

    The caller only waits, because only the main thread gets Ctrl-C, and must answer it soon. Within a job, contextvars
    and scikit-learn's configuration are those of the caller.

    Parameters
    ----------
    job : callable
    items : iterable of hashable
        All different.
    n_threads : int
        At most so many jobs run at once.
    interrupted : threading.Event
        Is set after Ctrl-C or an error. Jobs may look at it, to end early. No job begins after that.

    Raises
    ------
    KeyboardInterrupt
        Ctrl-C was pressed. No job runs any more.
    Exception
        The first one that a job raised. No job runs any more.
    """
    todo = list(items)[::-1]
    n_jobs = len(todo)
    results: dict[Item, Result] = {}
    errors: list[BaseException] = []
    change = threading.Condition()
    n_working, closed = 0, False
    config = get_config()  # scikit-learn's configuration belongs to a thread

    def work() -> None:
        nonlocal n_working
        with change:
            if closed:
                return
            n_working += 1
        try:
            with one_thread(), config_context(**config):
                while todo and not interrupted.is_set():
                    try:
                        item = todo.pop()
                    except IndexError:  # another thread has taken the last one
                        break
                    results[item] = job(item)
        except BaseException as error:
            errors.append(error)
            interrupted.set()
        finally:
            with change:
                n_working -= 1
                change.notify()

    try:
        for _ in range(min(n_threads, n_jobs)):
            threading.Thread(target=contextvars.copy_context().run, args=(work,), name="fastbp", daemon=True).start()
        with change:
            while len(results) < n_jobs and not errors:
                change.wait(LOOK_SECONDS)
    finally:
        if len(results) < n_jobs:
            interrupted.set()
        # An interrupt may come while a thread starts. A thread that starts only now finds that it is too late.
        with change:
            closed = True
            while n_working:
                change.wait(LOOK_SECONDS)
    if errors:
        raise errors[0]
    return results
