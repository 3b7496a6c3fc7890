"""The entry kernels that train and predict, and the module of each. Tests replace them."""

from fastbp.kernels import gradient, prediction, step

ENTRIES = {
    "train_serial": step,
    "train_parallel": step,
    "train_serial_with_extras": step,
    "train_parallel_with_extras": step,
    "predict_serial": prediction,
    "predict_parallel": prediction,
    "transpose_all": gradient,
}


def entry(name):
    """The entry of that name."""
    return getattr(ENTRIES[name], name)
