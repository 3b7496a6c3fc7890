"""Averages of the votes of members, in one pass over X."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from ..data.examples import Examples, as_examples, converted, converted_rows, in_order, is_file
from ..network import costs
from ..parallel.team import one_thread, side_by_side
from ..parallel.threads import in_threads
from ..typing import Array

# Starting threads takes some tenths of a millisecond. A prediction of fewer than LEAST_WORK floating-point operations
# starts none.
LEAST_WORK = 2e8
# If memory allows, a block has at least LEAST_ROWS rows, because each block reads the parameters of all members again.
# With enough rows, each of several threads gets about BLOCKS blocks, so that no thread waits long for the last block.
LEAST_ROWS, BLOCKS = 512, 4

Vote = Callable[[Any, Array], Array]  # from a member and its outputs a^(L) to its votes
Decide = Callable[[Array], NDArray]  # from the average of the votes for some rows to the prediction


class Average:
    """The weighted average of the members' votes on X.

    Parameters
    ----------
    members : sequence of Perceptron
        Fitted.
    weights : ndarray of shape (len(members),)
        Members of weight 0 make no predictions.
    vote : callable
    X : ndarray or CSR of shape (n, S_1)
        After the checks.
    rows : ndarray of int64, optional
        The rows of X to average the votes for. By default all.
    """

    def __init__(
        self,
        members: Sequence[Any],
        weights: NDArray[np.float64],
        vote: Vote,
        X: Any,
        rows: NDArray[np.int64] | None = None,
    ):
        self._X, self._vote = in_order(X) if scipy.sparse.issparse(X) else X, vote
        asked = [(member, float(weight)) for member, weight in zip(members, weights, strict=True) if weight]
        self._members = [(member, weight, member._network_for(X)) for member, weight in asked]
        self._rows, self._n = rows, X.shape[0] if rows is None else len(rows)
        entries = X.nnz / X.shape[0] if scipy.sparse.issparse(X) else None
        self._work = self._n * sum(costs.forward_row_work(network, entries) for _, _, network in self._members)
        like = [vote(member, np.zeros((1, network.widths[-1]), network.dtype)) for member, _, network in self._members]
        self._width, self._dtype = like[0].shape[1], np.result_type(*like)

    def of(self, part: slice) -> Array:
        """The average for this part of the rows, of shape (rows, width)."""
        X = self._X[part if self._rows is None else self._rows[part]]
        if not scipy.sparse.issparse(X):
            X = converted(X)  # rows of a file of another dtype, once for all members
        examples: dict[np.dtype, Examples] = {}
        # The sum is in float64 and in the order of the members, so the number of threads does not change it.
        total = np.zeros((X.shape[0], self._width))
        for member, weight, network in self._members:
            if network.dtype not in examples:
                examples[network.dtype] = as_examples(X, network.dtype)
            total += weight * self._vote(member, member._outputs_of(X, network, examples[network.dtype]))
        return total.astype(self._dtype, copy=False)

    def decided(self, decide: Decide, n_jobs: int | None) -> NDArray:
        """decide(average) for all rows, in blocks. The averages of a block take at most `costs.OUTPUT_BYTES`.

        n_jobs: upper bound on threads, as in `parallel.team.upper_bound`. It changes no bit of the result.
        """
        n_threads = side_by_side(n_jobs) if self._work >= LEAST_WORK else 1
        most = max(1, costs.OUTPUT_BYTES // (8 * self._width))
        if is_file(self._X):
            most = min(most, converted_rows(self._X))
        n_blocks = BLOCKS * n_threads if n_threads > 1 else 1
        size = min(max(-(-self._n // n_blocks), LEAST_ROWS), most)
        like = decide(np.zeros((1, self._width), self._dtype))
        decided = np.empty((self._n, *like.shape[1:]), like.dtype)

        def fill(start: int) -> None:
            part = slice(start, min(start + size, self._n))
            decided[part] = decide(self.of(part))

        starts = range(0, self._n, size)
        if n_threads == 1 or len(starts) == 1:
            with one_thread():
                for start in starts:
                    fill(start)
        else:
            in_threads([functools.partial(fill, start) for start in starts], n_threads)
        return decided
