"""Whether the members of an ensemble fit into the machine."""

from collections.abc import Sequence

from ..training.footprint import MIB, Footprint, physical_memory


def peak(members: Sequence[Footprint], n_threads: int, bytes_of_votes: int) -> int:
    """The largest number of bytes of all members at a time, without their data.

    Each thread trains one member at a time. At worst, the largest members train last, when the fitted attributes of all
    other members are in memory.
    """
    growth = sorted((member.training - member.fitted for member in members), reverse=True)
    return sum(member.fitted for member in members) + sum(growth[:n_threads]) + bytes_of_votes


def refuse_too_much(needed: int, n_members: int, n_threads: int) -> None:
    """Raise MemoryError if the members need more memory than the machine has."""
    there = physical_memory()
    if there is not None and needed > there:
        raise MemoryError(
            f"n_members={n_members} networks, {n_threads} of them in training at a time, need about "
            f"{needed / MIB:,.0f} MiB, but the machine has {there / MIB:,.0f} MiB. Set a smaller n_members, n_jobs or "
            "hidden_layer_sizes, or dtype='float32'."
        )
