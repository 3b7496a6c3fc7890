"""Numba's private names: what is missing is found, and the present Numba has them all."""

import pytest

from fastbp.kernels.compiling import cache, compilers
from fastbp.kernels.compiling.private import missing


def test_this_numba_has_every_private_name():
    assert compilers.MISSING == cache.MISSING == []
    assert compilers.flags(linked=True).keys() == compilers.flags(linked=False).keys() == {"pipeline_class"}


@pytest.mark.parametrize(
    ("private", "expected"),
    [
        ({"numba.core.codegen": ("JITCodeLibrary",)}, []),
        ({"numba.core.codegen": ("JITCodeLibrary.nothing",)}, ["numba.core.codegen.JITCodeLibrary.nothing"]),
        ({"numba.core.codegen": ("Nothing._optimize",)}, ["numba.core.codegen.Nothing._optimize"]),
        ({"numba.core.nothing": ("Compiler",), "numba": ("njit",)}, ["numba.core.nothing.Compiler"]),
    ],
    ids=["present", "attribute", "class", "module"],
)
def test_a_private_name_that_is_gone_is_found(private, expected):
    assert missing(private) == expected


def test_without_a_private_name_njit_chooses_the_compiler(monkeypatch):
    monkeypatch.setattr(compilers, "MISSING", ["numba.core.codegen.JITCodeLibrary"])
    assert compilers.flags(linked=True) == compilers.flags(linked=False) == {}
