"""``python -m fastbp predict``: from a model and a data file to predictions."""

import argparse
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..extras import require
from .answers import Classes, answers_of_model
from .errors import UserError, listed
from .model_files import Model
from .output_files import check_output, write_whole
from .reading import Format, read


def run(options: argparse.Namespace) -> None:
    """Predict each row of a file, and write the predictions to another file or to the standard output."""
    require("pandas", "skops", extra="cli", by="python -m fastbp predict")
    import pandas as pd

    if options.output:
        check_output(options.output, options.data, options.model)
    model = Model.load(options.model)
    if options.proba and not hasattr(model.estimator, "predict_proba"):
        raise UserError(f"--proba: {options.model} predicts numbers, which have no probabilities")
    frame = read(options.data, Format.of(options))
    words = frame.attrs.pop("missing", {})
    if absent := [name for name in options.id if name not in frame]:
        raise UserError(f"{options.data} has no column {absent[0]!r}; it has {listed(frame.columns)}")
    found, rows = answers_of_model(model, frame, options.data), np.arange(len(frame))
    results: list[tuple[str, Any]] = []
    for name in options.id:  # written as in the file, because a word such as NA may be an identifier
        column = frame[name].astype(object)
        results.append((name, column.where(column.notna(), words.get(name, np.nan))))
    results.append((model.target, found.predict(rows)))
    if options.proba and isinstance(found, Classes):
        by_class = zip(found.classes_, found.predict_proba(rows).astype(np.float32).T, strict=True)
        results += [(f"probability of {label}", column) for label, column in by_class]
    # Both ways write the same bytes on every system. A text stream would use Windows's encoding and ends of lines.
    content = pd.DataFrame(dict(_named(results))).to_csv(index=False, lineterminator="\n").encode()
    if options.output:
        write_whole(options.output, lambda stream: stream.write(content))
    else:
        sys.stdout.buffer.write(content)


def _named(columns: list[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """The columns, with "predicted " put in front of each name until no earlier column has the name."""
    taken: set[str] = set()
    for name, column in columns:
        while name in taken:
            name = f"predicted {name}"
        taken.add(name)
        yield name, column
