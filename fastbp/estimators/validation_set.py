"""The validation set, which measures progress. The user passes one, or `split` sets some of the examples aside."""

import contextlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..data.examples import Examples, as_order

Rows = NDArray[np.int64]


class GivenValidation(NamedTuple):
    """The validation set as the user passes it to `fit`, not checked yet. All fields are None if there is none."""

    X: Any = None
    y: Any = None
    sample_weight: Any = None

    @property
    def is_there(self) -> bool:
        """Whether the user passed a validation set; raises ValueError if a part of it is missing."""
        if (self.X is None) != (self.y is None):
            given, missing = ("y_val", "X_val") if self.X is None else ("X_val", "y_val")
            raise ValueError(f"{given} is provided, but {missing} was not provided.")
        if self.X is None and self.sample_weight is not None:
            raise ValueError("sample_weight_val is provided, but X_val and y_val were not provided.")
        return self.X is not None


class ValidationSet(NamedTuple):
    """The rows of `examples` that make up the validation set, as the kernels read them."""

    examples: Examples
    rows: Rows
    data: tuple[Any, Any, dict[str, Any]] | None = None  # X, y and metadata of these rows, if a scorer needs them


def split(
    examples: Examples, random_state: np.random.RandomState, validation_fraction: float, *, stratify: bool
) -> tuple[Rows, ValidationSet]:
    """(rows to train on, validation set), with the random draws of scikit-learn's MLP.

    With `stratify`, both parts have the two classes in the same proportions.
    """
    from sklearn.model_selection import train_test_split  # imported here, because most fits do not need it

    train, validation = train_test_split(
        np.arange(examples.n),
        random_state=random_state,
        test_size=validation_fraction,
        # scikit-learn's MLP stratifies by these strings too. train_test_split prints them in its error message if a
        # class has one example.
        stratify=np.array(["False", "True"])[examples.codes] if stratify else None,
    )
    refuse_small_share(len(validation), validation_fraction, examples.n)
    for part, name in ((train, "training"), (validation, "validation")):
        if examples.weights.size and not examples.weights[part].any():
            raise ValueError(
                f"early_stopping=True: all sample_weight of the {name} examples are zero in this split. "
                "Use another random_state or validation_fraction, or leave out examples of weight zero."
            )
    return as_order(train), ValidationSet(examples, as_order(validation))


def refuse_small_share(n_validation: int, validation_fraction: float, n: int) -> None:
    """Raise ValueError if the validation set, this fraction of n examples, is too small."""
    _refuse_too_few(
        n_validation,
        f"Increase 'validation_fraction' or the size of your dataset. "
        f"validation_fraction={validation_fraction!r} of {n} examples leaves {n_validation}.",
    )


def refuse_few_rows(n: int) -> None:
    """Raise ValueError if the user's own validation set of n rows is too small."""
    _refuse_too_few(n, f"X_val has {n} rows, and needs at least 2.")


def _refuse_too_few(n: int, advice: str) -> None:
    if n < 2:
        raise ValueError(f"The validation set is too small. {advice}")


@contextlib.contextmanager
def errors_name_validation_set() -> Iterator[None]:
    """Within this context, a ValueError or TypeError says that it is about the user's own validation set.

    Its message says X, y or sample_weight, and means X_val, y_val or sample_weight_val.
    """
    try:
        yield
    except (ValueError, TypeError) as error:
        kind = ValueError if isinstance(error, ValueError) else TypeError
        raise kind(f"In the validation set X_val, y_val, sample_weight_val: {error}") from error
