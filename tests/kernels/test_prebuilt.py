"""Kernels that were compiled in advance for a level of CPUs: who takes them, and when they do not count."""

import contextlib
import os
import sys
import tempfile

import numba
import numpy as np
import pytest

from fastbp.kernels.compiling import cache, interpreted, levels, target

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="owners and permissions of POSIX")

LINUX = "x86_64-unknown-linux-gnu"
V3, V4 = (levels.LEVELS[name].features for name in ("x86-64-v3", "x86-64-v4"))


@pytest.mark.parametrize(
    ("features", "triple", "expected"),
    [
        (V3, LINUX, "x86-64-v3"),
        (f"+64bit,-sse4a,{V3},-avx512f", LINUX, "x86-64-v3"),
        (V4, LINUX, "x86-64-v4"),
        (f"{V4},+avx512vnni", LINUX, "x86-64-v4"),
        (V3, "x86_64-pc-windows-msvc", "x86-64-v3"),
        (V3.replace("+fma,", ""), LINUX, ""),
        (V3.replace("+fma", "-fma"), LINUX, ""),
        (V4.replace(",+avx512vl", ""), LINUX, ""),  # its own kernels would have larger vectors than x86-64-v3
        ("", LINUX, ""),
        ("+neon,+fp-armv8,+lse", "aarch64-unknown-linux-gnu", "aarch64"),
        ("+neon,+fp-armv8", "arm64-apple-darwin23.0.0", "aarch64"),
        (V4, "powerpc64le-unknown-linux-gnu", ""),
    ],
)
def test_a_cpu_has_the_best_level_of_which_it_has_all_features_and_no_larger_vectors(features, triple, expected):
    assert target.best_level(triple, features) == expected


@pytest.mark.parametrize("setting", ["CPU_NAME", "CPU_FEATURES"])
def test_who_chooses_a_cpu_for_numba_gets_no_kernels_of_a_level(monkeypatch, setting):
    monkeypatch.setattr(numba.config, setting, "")
    assert target.level.__wrapped__() == ""


def test_a_process_that_has_imported_the_kernels_cannot_compile_for_another_cpu(tmp_path):
    with pytest.raises(RuntimeError, match="has imported the kernels"):
        levels.compile_for("x86-64-v3", tmp_path)
    assert levels.building is None


@pytest.fixture
def package(monkeypatch, tmp_path):
    """A package with a folder for kernels of levels, in a process that may run x86-64-v3; its own cache is empty."""
    if interpreted.ENABLED:
        pytest.skip("nothing is compiled")
    (tmp_path / "package").mkdir(mode=0o755)
    monkeypatch.setattr(cache, "HERE", tmp_path / "package")
    monkeypatch.setattr(cache, "PREBUILT", tmp_path / "package" / "prebuilt")
    monkeypatch.setattr(cache, "DIGEST", cache.source_digest())
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(target, "level", lambda: "x86-64-v3")
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    cache.prebuilt_digest.cache_clear()
    yield tmp_path / "package"
    cache.prebuilt_digest.cache_clear()


def times(factor):
    """(10 times the factor of the code that ran, whether this process compiled it), as in a new process."""

    def multiply(x):
        return factor * x

    kernel = numba.njit(multiply)
    kernel._cache = cache.KernelCache("multiply", "")
    return kernel(10.0), not kernel.stats.cache_hits


@contextlib.contextmanager
def compiling_for(level, folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(levels, "building", levels.Building(folder, levels.binary_interface()))
        patch.setattr(target, "CPU", levels.LEVELS[level].cpu)
        patch.setattr(target, "FEATURES", levels.LEVELS[level].features)
        yield


def built(level="x86-64-v3"):
    """The only file in PREBUILT: the code of times(2) for a level."""
    with compiling_for(level, cache.PREBUILT):
        assert times(2) == (20, True)
        assert times(3) == (20, False)
    (file,) = cache.PREBUILT.glob("*/*")
    return file


def test_code_for_the_level_is_taken_and_nothing_is_written_or_announced(package, monkeypatch):
    file = built()
    announced = []
    monkeypatch.setattr(cache, "on_compile", lambda: announced.append(True))
    assert times(3) == (20, False)
    assert list(cache.PREBUILT.glob("*/*")) == [file]
    assert not (package.parent / "cache").exists()
    assert not announced


def test_code_for_the_level_comes_before_code_in_the_cache(package):
    assert times(3) == (30, True)
    built()
    assert times(4) == (20, False)


@pytest.mark.parametrize("level", ["", "x86-64-v4", "aarch64"])
def test_code_for_another_level_is_not_taken(package, monkeypatch, level):
    built()
    monkeypatch.setattr(target, "level", lambda: level)
    assert times(3) == (30, True)
    assert times(4) == (30, False)


@pytest.mark.parametrize("position", [0.0, 0.5, 0.99])
def test_a_broken_file_is_left_alone_and_compiled_into_the_cache(package, position):
    file = built()
    data = bytearray(file.read_bytes())
    data[int(position * len(data))] ^= 1
    file.write_bytes(data)
    assert times(3) == (30, True)
    assert times(4) == (30, False)
    assert file.read_bytes() == data


def test_a_file_for_another_level_is_not_taken_under_a_wrong_name(package, monkeypatch):
    other = built("x86-64-v4")
    data = other.read_bytes()
    other.unlink()
    built().write_bytes(data)
    assert times(3) == (30, True)


@pytest.mark.parametrize("name", ["numba", "llvmlite"])
def test_code_of_another_compiler_is_not_taken(package, monkeypatch, name):
    built()
    monkeypatch.setattr(getattr(cache, name), "__version__", "0.0.0")
    cache.prebuilt_digest.cache_clear()
    assert times(3) == (30, True)


def test_code_of_other_sources_is_not_taken(package):
    built()
    (package / "new.py").touch()
    cache.prebuilt_digest.cache_clear()
    assert times(3) == (30, True)


@pytest.mark.parametrize(("version", "taken"), [("same.99.0", True), ("99.0.0", False)])
def test_code_serves_every_numpy_of_the_same_major_version(package, monkeypatch, version, taken):
    built()
    monkeypatch.setattr(np, "__version__", version.replace("same", np.__version__.partition(".")[0]))
    cache.prebuilt_digest.cache_clear()
    assert times(3) == ((20, False) if taken else (30, True))


@pytest.mark.parametrize(("mode_of_package", "taken"), [(0o755, False), (0o775, True)])
def test_code_is_taken_if_it_is_as_safe_as_the_package(package, mode_of_package, taken):
    file = built()
    package.chmod(mode_of_package)
    file.chmod(0o664)
    file.parent.chmod(0o775)
    assert times(3) == ((20, False) if taken else (30, True))


def test_code_that_everybody_may_write_is_not_taken(package):
    file = built()
    package.chmod(0o775)
    file.chmod(0o666)
    assert times(3) == (30, True)


def test_the_folder_of_another_user_is_not_taken(package):
    if os.geteuid() != 0:
        pytest.skip("only root can give files to another user")
    os.chown(built(), 12345, -1)
    assert times(3) == (30, True)
