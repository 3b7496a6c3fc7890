"""The entry kernels that train and predict, and the module of each. Tests replace them."""

from fastbp.kernels import gradient, prediction, step

ENTRIES = {
    "train": step,
    "train_with_extras": step,
    "predict": prediction,
    "transpose_all": gradient,
}


def entry(name):
    """The entry of that name."""
    return getattr(ENTRIES[name], name)


def is_parallel(args):
    """Whether a call of `train`, `train_with_extras` or `predict` with these arguments may have several threads."""
    return args[1] > 1
