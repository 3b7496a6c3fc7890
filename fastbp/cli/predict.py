"""``python -m fastbp predict``: from a model and a data file to predictions."""

import argparse
import sys
from typing import Any

from ..extras import require
from .errors import UserError
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
    if options.proba and not hasattr(model.pipeline, "predict_proba"):
        raise UserError(f"--proba: {options.model} predicts numbers, which have no probabilities")
    X = model.columns.taken_from(read(options.data, Format.of(options)), options.data)
    predictions: dict[str, Any] = {model.target: model.pipeline.predict(X)}
    if options.proba:
        by_class = zip(model.pipeline.classes_, model.pipeline.predict_proba(X).T, strict=True)
        predictions |= {f"probability of {label}": column for label, column in by_class}
    content = pd.DataFrame(predictions).to_csv(index=False)
    if options.output:
        write_whole(options.output, lambda stream: stream.write(content.encode()))
    else:
        sys.stdout.write(content)
