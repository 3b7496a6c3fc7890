"""The memory of the members of an ensemble."""

from collections.abc import Sequence

from ..training.footprint import Footprint


def peak(members: Sequence[Footprint], n_threads: int, bytes_of_votes: int) -> int:
    """The largest number of bytes of all members at a time, without their data.

    Each thread trains one member at a time. At worst, the largest members train last, when the fitted attributes of all
    other members are in memory.
    """
    growth = sorted((member.training - member.fitted for member in members), reverse=True)
    return sum(member.fitted for member in members) + sum(growth[:n_threads]) + bytes_of_votes
