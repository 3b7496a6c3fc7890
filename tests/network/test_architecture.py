"""`network_of`: the one place where the fields of a network are checked, before its cache."""

import numpy as np
import pytest

from fastbp.network.architecture import network_of

F64 = np.dtype(np.float64)


def made(widths=(3, 255), activations=("identity",), loss="squared_error", dtype=F64, fit_intercept=True):
    return network_of(widths, activations, loss, dtype, fit_intercept)


@pytest.mark.parametrize("integer", [int, np.uint8, np.int64])
def test_integers_of_any_type_give_the_same_network_of_python_integers(integer):
    network_of.__globals__["_kept_network"].cache_clear()
    network = made((3, integer(255)))
    assert [type(width) for width in network.widths] == [int, int]
    assert network.layout.padded[1] >= 255
    assert made() is network
    assert made(fit_intercept=np.uint8(1)) is network


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("widths", (3, 255.0), "'float' object cannot be interpreted as an integer"),
        ("widths", (3, "255"), "'str' object cannot be interpreted as an integer"),
        ("widths", (3, 0), r"at least 1 unit, got the widths \(3, 0\)"),
        ("widths", (3, -1), r"at least 1 unit, got the widths \(3, -1\)"),
        ("widths", (3,), "at least two layers"),
        ("activations", (), "must have an activation"),
        ("activations", ("relu", "identity"), "must have an activation"),
        ("activations", ("softplus?",), "The output activation must be among .*, got 'softplus\\?'"),
        ("loss", "mean", "loss must be among .*, got 'mean'"),
        ("dtype", np.dtype(np.float16), "float32 or float64, got float16"),
        ("dtype", np.dtype(">f8"), "float32 or float64, got >f8"),
    ],
)
def test_a_field_that_is_not_legal_is_refused_even_if_an_equal_one_was_seen(field, value, message):
    made()
    with pytest.raises((TypeError, ValueError), match=message):
        made(**{field: value})


def test_the_activation_of_a_hidden_layer_is_checked():
    with pytest.raises(ValueError, match=r"activation of a hidden layer must be among .*, got 'softmax'"):
        made((3, 4, 5), ("softmax", "identity"))
