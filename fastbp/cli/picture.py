"""The picture of the loss curves. It needs matplotlib, from the extra `plot`."""

import pathlib
from typing import Any, BinaryIO

from ..displays import LossCurveDisplay
from ..extras import require
from .errors import UserError
from .output_files import write_whole


def check_picture(path: str) -> None:
    """Raise an error if matplotlib is missing or cannot draw to a file of this kind."""
    require("matplotlib", extra="plot", by="--plot")
    from matplotlib.figure import Figure

    kinds = Figure().canvas.get_supported_filetypes()
    if pathlib.Path(path).suffix.lower().removeprefix(".") not in kinds:
        raise UserError(f"--plot {path}: its name must end in one of {', '.join('.' + kind for kind in kinds)}")


def draw(pipeline: Any, path: str) -> None:
    """Draw the loss curves of the network in a pipeline to a file; raises UserError."""
    from matplotlib.figure import Figure

    figure = Figure(layout="constrained")  # this way of making a figure opens no window
    LossCurveDisplay.from_estimator(pipeline, ax=figure.subplots(), log_scale=True)
    kind = pathlib.Path(path).suffix.lower().removeprefix(".")

    def write(stream: BinaryIO) -> None:
        figure.savefig(stream, format=kind)

    write_whole(path, write)
