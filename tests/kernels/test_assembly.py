"""The LLVM code that depends on the kind of CPU or on the system, as assembly for each of them."""

import re

import llvmlite.binding as llvm
import numba
import numpy as np
import pytest
from llvmlite import ir
from numba.core import cgutils

from fastbp.kernels.compiling import jit, levels, target
from fastbp.kernels.compiling.levels import AARCH64, X86_64
from fastbp.kernels.machine import cores, subnormals

TRIPLES = {
    "x86_64-unknown-linux-gnu": X86_64,
    "x86_64-pc-windows-msvc": X86_64,
    "aarch64-unknown-linux-gnu": AARCH64,
    "arm64-apple-darwin23.0.0": AARCH64,
    "powerpc64le-unknown-linux-gnu": "powerpc64le",
}


@pytest.mark.parametrize("triple", TRIPLES)
def test_the_target_triple_tells_the_kind_of_cpu(triple):
    assert levels.machine_of(triple) == TRIPLES[triple]


def assembly(triple, emit):
    """The assembly of a function whose body `emit` emits; it gets a builder and a number of 32 bits."""
    if hasattr(llvm, "initialize_all_targets"):
        llvm.initialize_all_targets()
        llvm.initialize_all_asmprinters()
    module, i32 = ir.Module(), ir.IntType(32)
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [i32]), "f")
    builder = ir.IRBuilder(function.append_basic_block())
    emit(builder, function.args[0])
    builder.ret_void()
    parsed = llvm.parse_assembly(str(module))
    parsed.triple = triple
    return llvm.Target.from_triple(triple).create_target_machine().emit_assembly(parsed)


def words_of(code):
    return set(re.findall(r"\w+", code))


@pytest.mark.parametrize(
    ("triple", "rest"), [("x86_64-unknown-linux-gnu", "pause"), ("aarch64-unknown-linux-gnu", "isb")]
)
def test_a_waiting_core_rests_between_two_looks(triple, rest):
    code = assembly(triple, lambda builder, _: cores._emit_rest(builder, TRIPLES[triple]))
    assert rest in words_of(code)


@pytest.mark.parametrize(
    ("triple", "windows", "sleep"),
    [
        ("x86_64-unknown-linux-gnu", False, "usleep"),
        ("arm64-apple-darwin23.0.0", False, "_usleep"),
        ("x86_64-pc-windows-msvc", True, "SwitchToThread"),
    ],
)
def test_a_thread_that_has_waited_long_lets_others_run_but_never_sleeps_for_milliseconds(triple, windows, sleep):
    code = assembly(triple, lambda builder, _: cores._emit_sleep(builder, windows))
    assert sleep in words_of(code)
    assert "Sleep" not in words_of(code)


@pytest.mark.parametrize(
    ("triple", "reads", "writes"),
    [
        ("x86_64-unknown-linux-gnu", "stmxcsr", "ldmxcsr"),
        ("x86_64-pc-windows-msvc", "stmxcsr", "ldmxcsr"),
        ("aarch64-unknown-linux-gnu", "mrs", "msr"),
        ("arm64-apple-darwin23.0.0", "mrs", "msr"),
    ],
)
def test_subnormal_numbers_are_flushed_on_every_kind_of_cpu(triple, reads, writes):
    kind = TRIPLES[triple]

    def emit(builder, number):
        subnormals._emit_write(builder, kind, builder.or_(subnormals._emit_read(builder, kind), number))

    words = words_of(assembly(triple, emit).lower())
    assert reads in words
    assert writes in words
    assert ("fpcr" in words) == (kind == AARCH64)
    assert subnormals.BITS[kind]


def test_this_machine_flushes_subnormal_numbers():
    assert subnormals.BITS.get(target.MACHINE, 0) == subnormals.FLUSH


@pytest.mark.parametrize(
    ("triple", "platform", "names"),
    [
        ("x86_64-unknown-linux-gnu", "linux", {"snprintf", "write", "abort"}),
        ("arm64-apple-darwin23.0.0", "darwin", {"_snprintf", "_write", "_abort"}),
        ("x86_64-pc-windows-msvc", "win32", {"_snprintf", "_write", "abort"}),
    ],
)
def test_the_debug_mode_writes_its_messages_with_functions_that_the_system_has(monkeypatch, triple, platform, names):
    monkeypatch.setattr(target, "WINDOWS", platform == "win32")
    monkeypatch.setattr(numba.core.config, "IS_WIN32", platform == "win32")

    def emit(builder, number):
        holds = builder.icmp_signed("<", number, number.type(7))
        jit.emit_check(builder, holds, "%lld is too large", builder.sext(number, cgutils.intp_t))

    called = words_of(assembly(triple, emit))
    assert names <= called
    assert "dprintf" not in called
    assert np.iinfo(np.int32).max > jit.MESSAGE_BYTES
