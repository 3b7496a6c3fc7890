"""The disk cache: code is found in every folder, and is never stale, broken or another user's.

Without any usable folder, fits work all the same.
"""

import importlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import numba
import pytest

import fastbp
from fastbp.kernels.compiling import cache, jit

pytestmark = pytest.mark.posix  # owners and permissions

AS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


@pytest.fixture
def places(monkeypatch, tmp_path):
    """The four folders that the cache looks into, in its order, below tmp_path. They and their parents do not exist."""
    bases = [tmp_path / name for name in ("set", "package", "home", "temporary")]
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(bases[0]))
    monkeypatch.setattr(cache, "PYCACHE", bases[1])
    monkeypatch.setenv("XDG_CACHE_HOME", str(bases[2]))
    monkeypatch.setattr(tempfile, "tempdir", str(bases[3]))
    folders = list(cache.folders())
    assert [base in folder.parents for base, folder in zip(bases, folders, strict=True)] == [True] * 4
    return folders


def times(factor, value=10.0, variant=""):
    """(value times the factor of the code that ran, whether the code came from the disk), as in a new process.

    Kernels of different factors share a file, so stale code shows in the product.
    """

    def multiply(x):
        return factor * x

    kernel = numba.njit(multiply)
    kernel._cache = cache.KernelCache("multiply", variant)
    product = kernel(value)
    return product, bool(kernel.stats.cache_hits)


def files_in(folders):
    return [file for folder in folders if folder.is_dir() for file in folder.iterdir()]


def saved(places):
    """The file of times(2), in the first place."""
    assert times(2) == (20, False)
    (file,) = files_in(places)
    assert file.parent == places[0]
    return file


@pytest.mark.parametrize("place", range(4))
def test_code_is_loaded_from_every_folder_and_then_written_to_none(places, place):
    assert times(2) == (20, False)
    if place:
        places[place].parent.mkdir(parents=True)
        places[0].rename(places[place])
    (file,) = files_in(places)
    assert file.parent == places[place]
    assert times(3) == (20, True)
    assert files_in(places) == [file]


@pytest.mark.parametrize("n_unusable", [0, 1, 2, 3, 4])
def test_code_is_written_to_the_first_usable_folder_and_a_fit_works_without_any(places, n_unusable):
    for folder in places[:n_unusable]:
        base = next(part for part in folder.parents if part.parent.exists())
        base.write_bytes(b"a file where a folder should be")
    assert times(2) == (20, False)
    assert times(2) == (20, n_unusable < 4)
    assert [file.parent for file in files_in(places)] == places[n_unusable : n_unusable + 1]


def test_on_windows_which_names_no_owners_the_temporary_folder_is_never_used(places, monkeypatch):
    file = saved(places)
    places[3].mkdir(parents=True)
    file.rename(places[3] / file.name)
    assert times(3) == (20, True)
    monkeypatch.delattr(os, "geteuid")
    assert list(cache.folders()) == places[:3]
    assert times(3) == (30, False)


def test_a_circle_of_links_or_a_missing_home_does_not_fail(places, monkeypatch, tmp_path):
    (tmp_path / "circle").symlink_to("circle")
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "circle"))
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(pathlib.Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    assert [times(2), times(2)] == [(20, False), (20, True)]
    assert files_in(places)[0].parent == places[1]


@pytest.mark.parametrize("length", [0, 1, cache.DIGEST_BYTES, cache.DIGEST_BYTES + 100, -1])
def test_a_truncated_file_is_compiled_again_and_replaced(places, length):
    file = saved(places)
    whole = file.read_bytes()
    file.write_bytes(whole[:length])
    assert times(3) == (30, False)
    assert times(3) == (30, True)


@pytest.mark.parametrize("position", [0.0, 0.3, 0.6, 0.99])
def test_a_file_with_one_wrong_byte_is_compiled_again_and_replaced(places, position):
    file = saved(places)
    data = bytearray(file.read_bytes())
    data[int(position * len(data))] ^= 1
    file.write_bytes(data)
    assert times(3) == (30, False)
    assert times(3) == (30, True)


def test_garbage_is_compiled_again_and_replaced(places):
    file = saved(places)
    file.write_bytes(os.urandom(10_000))
    assert times(3) == (30, False)
    assert times(3) == (30, True)


def test_a_broken_file_that_cannot_be_replaced_does_not_hide_a_good_one_behind_it(places):
    file = saved(places)
    shutil.copytree(places[0], places[2])
    file.write_bytes(b"garbage")
    assert times(3) == (20, True)


def test_each_signature_has_a_file_of_its_own_that_serves_no_other(places):
    file = saved(places)
    assert times(3, value=10) == (30, False)
    (other,) = set(files_in(places)) - {file}
    assert times(0, value=10.0) == (20, True)
    other.write_bytes(file.read_bytes())
    assert times(4, value=10) == (40, False)  # not the code for floats


@pytest.mark.parametrize(
    "setting", [("OPT", 0), ("BOUNDSCHECK", 1), ("LOOP_VECTORIZE", 0), ("SLP_VECTORIZE", 1), ("DEBUGINFO_DEFAULT", 1)]
)
def test_a_setting_of_numba_that_changes_the_code_has_a_file_of_its_own(places, monkeypatch, setting):
    times(2)
    with monkeypatch.context() as other:
        other.setattr(numba.config, *setting)
        assert times(3) == (30, False)
    assert times(4) == (20, True)


def test_checked_kernels_have_files_of_their_own(places):
    assert times(2, variant="checked=False") == (20, False)
    assert times(3, variant="checked=True") == (30, False)
    assert {entry._cache._variant for entry in jit.KEPT} == {jit.VARIANT}


@pytest.mark.parametrize("package", ["numba", "llvmlite", "np"])
def test_another_version_of_a_package_that_compiles_has_another_folder(monkeypatch, package):
    monkeypatch.setattr(getattr(cache, package), "__version__", "0.0.0")
    assert cache.source_digest() != cache.DIGEST


def test_every_kernel_source_is_part_of_the_folders_name(tmp_path):
    copy = tmp_path / "kernels"
    shutil.copytree(cache.HERE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    assert cache.source_digest(copy) == cache.DIGEST
    for source in sorted(copy.rglob("*.py")):
        text = source.read_text()
        source.write_text(f"{text}# edited\n")
        assert cache.source_digest(copy) != cache.DIGEST, source
        source.write_text(text)


def test_only_kernels_whose_sources_are_part_of_the_folders_name_are_kept():
    def ours(x):
        return x

    importlib.import_module("fastbp.estimators.base")  # imports all kernels
    theirs = jit.entry(ours)
    assert not isinstance(theirs._cache, cache.KernelCache)
    kept = [kernel.__name__ for kernel in jit.KEPT]
    entries = {"forward_row", "shuffle", "step_all", "transpose_all"}
    entries |= {"train", "train_with_extras", "predict", "serve"}
    assert {"adam", "relu", "softmax", "affine_3", "sort_entries", *entries} <= set(kept)
    assert len(kept) == len(set(kept)) == len(entries) + len(jit.DEFERRED)  # the names of kernels name their files
    assert all(isinstance(kernel._cache, cache.KernelCache) for kernel in jit.KEPT)


def test_in_a_frozen_package_the_version_stands_for_the_sources(tmp_path, monkeypatch):
    frozen = cache.source_digest(tmp_path / "gone")
    assert frozen not in (cache.DIGEST, cache.source_digest())
    monkeypatch.setattr(fastbp, "__version__", "0.0.0")
    assert cache.source_digest(tmp_path / "gone") != frozen
    assert cache.source_digest() == cache.DIGEST


def test_a_frozen_package_keeps_kernels_where_it_may(places, monkeypatch, tmp_path):
    monkeypatch.setattr(cache, "HERE", tmp_path / "gone")
    assert [times(2), times(2)] == [(20, False), (20, True)]
    assert cache.PYCACHE not in [folder.parent for folder in cache.folders()]


def chmod(*modes):
    """Give these modes to the file, its folder, the folder's parent and so on. None leaves a mode as it is."""

    def change(file, folder):
        for path, mode in zip((file, *file.parents), modes, strict=False):
            if mode is not None:
                path.chmod(mode)

    return change


def give_away(index):
    def change(file, folder):
        os.chown((file, *file.parents)[index], 12345, -1)

    return change


def link_from_a_public_folder(file, folder):
    """Our folder is a link to a trusted one. The cache follows the link, so its own folder does not matter."""
    target = folder.parents[2] / "target"
    folder.rename(target)
    folder.symlink_to(target)
    folder.parent.chmod(0o777)


def link_to_a_public_folder(file, folder):
    public = folder.parents[2] / "public"
    public.mkdir()
    folder.rename(public / "kernels")
    folder.symlink_to(public / "kernels")
    public.chmod(0o777)


as_root = pytest.mark.skipif(not AS_ROOT, reason="only root can give files to another user")
refused = {
    "file writable by all": chmod(0o646),
    "file writable by the group": chmod(0o664),
    "folder writable by all": chmod(None, 0o777),
    "folder writable by the group": chmod(None, 0o775),
    "sticky folder writable by all": chmod(None, 0o1777),
    "parent writable by all": chmod(None, None, 0o777),
    "parent writable by the group": chmod(None, None, 0o770),
    "grandparent writable by all": chmod(None, None, None, 0o777),
    "link to a public folder": link_to_a_public_folder,
    "file of another user": pytest.param(give_away(0), marks=as_root),
    "folder of another user": pytest.param(give_away(1), marks=as_root),
    "grandparent of another user": pytest.param(give_away(3), marks=as_root),
}
trusted = {
    "as it was made": chmod(),
    "readable by this user only": chmod(0o600, 0o700, 0o700),
    "sticky parent writable by all, as /tmp": chmod(None, None, 0o1777),
    "link to a trusted folder": link_from_a_public_folder,
}


@pytest.mark.parametrize("change", refused.values(), ids=refused.keys())
def test_code_that_another_user_may_have_put_there_does_not_run(places, change):
    file = saved(places)
    change(file, places[0])
    assert times(3) == (30, False)


@pytest.mark.parametrize("change", trusted.values(), ids=trusted.keys())
def test_code_that_only_this_user_can_have_put_there_runs(places, change):
    file = saved(places)
    change(file, places[0])
    assert times(3) == (20, True)


@as_root
@pytest.mark.parametrize("chain", ["its link", "our link to its link"])
def test_a_link_of_another_user_is_not_followed(places, tmp_path, chain):
    victim, ours = (
        tmp_path / "victim",
        [tmp_path / "victim" / f"kernels-{i:016}" for i in range(cache.KEPT_FOLDERS + 4)],
    )
    for folder in ours:
        folder.mkdir(parents=True)
        (folder / "multiply.kernel").touch()
    for place in places:
        link = place.parent
        link.parent.mkdir(exist_ok=True)
        if chain != "its link":
            link.symlink_to(tmp_path / f"second {link.parent.name} {link.name}")
            link = tmp_path / f"second {link.parent.name} {link.name}"
        link.symlink_to(victim)
        os.lchown(link, 12345, -1)
    assert [times(2), times(3)] == [(20, False), (30, False)]
    assert set(victim.iterdir()) == set(ours)
    assert all("is a link of another user" in cache.refusal(folder) for folder in cache.folders())


@as_root
def test_a_link_that_another_user_makes_at_the_last_moment_is_not_followed(places, monkeypatch, tmp_path):
    victim = tmp_path / "victim"
    victim.mkdir()
    make = pathlib.Path.mkdir

    def replaced(self, *args, **kwargs):
        if self in places:
            self.symlink_to(victim)
            os.lchown(self, 12345, -1)
        else:
            make(self, *args, **kwargs)

    monkeypatch.setattr(pathlib.Path, "mkdir", replaced)
    assert [times(2), times(3)] == [(20, False), (30, False)]
    assert not list(victim.iterdir())


@as_root
def test_code_of_the_owner_of_the_package_is_trusted_by_all_who_run_the_package(places, monkeypatch, tmp_path):
    file = saved(places)
    for path in (file, places[0]):
        os.chown(path, 12345, -1)
    package = tmp_path / "sources"
    package.mkdir()
    (package / "cache.py").touch()
    monkeypatch.setattr(cache, "HERE", package)
    assert times(3) == (30, False)
    shutil.rmtree(places[1], ignore_errors=True)  # the code that was just compiled

    os.chown(package, 12345, -1)
    assert times(3) == (20, True)


@pytest.mark.parametrize("umask", [0o000, 0o002])
def test_others_cannot_change_files_that_were_written_under_a_generous_umask(places, umask):
    before = os.umask(umask)
    try:
        file = saved(places)
    finally:
        os.umask(before)
    assert not any(path.stat().st_mode & 0o022 for path in (file, *list(file.parents)[:3]))
    assert times(3) == (20, True)


def test_a_file_appears_whole_or_not_at_all(places, monkeypatch):
    seen = []

    def full_disk(source, target):
        key, code = cache.read(source)
        seen.append((key.split()[0], len(code) > 1000, pathlib.Path(target).exists()))
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "replace", full_disk)
    assert times(2) == (20, False)
    assert seen == [("multiply", True, False)] * 4  # one attempt per folder, each of a complete file
    assert not files_in(places)


def test_only_the_most_recently_used_versions_are_kept(places):
    base = places[0].parent
    base.mkdir(parents=True)
    others = [base / f"kernels-{i:016}" for i in range(cache.KEPT_FOLDERS + 5)]
    for age, folder in enumerate(others):
        folder.mkdir()
        (folder / "multiply.kernel").touch()
        os.utime(folder, (1e9 - age, 1e9 - age))
    (base / "unrelated").mkdir()
    times(2)
    assert set(base.iterdir()) == {places[0], base / "unrelated", *others[: cache.KEPT_FOLDERS - 1]}


def a_link(folder, elsewhere):
    elsewhere.mkdir()
    (elsewhere / "multiply.kernel").touch()
    folder.symlink_to(elsewhere)


def with_a_file(name):
    def make(folder, elsewhere):
        folder.mkdir()
        (folder / "multiply.kernel").touch()
        (folder / name).touch()

    return make


def with_a_folder(folder, elsewhere):
    (folder / "multiply.kernel").mkdir(parents=True)


def with_a_link(folder, elsewhere):
    elsewhere.mkdir()
    folder.mkdir()
    (folder / "multiply.kernel").symlink_to(elsewhere)


@pytest.mark.parametrize("make", [a_link, with_a_file("thesis.txt"), with_a_folder, with_a_link])
def test_what_this_cache_did_not_make_is_never_removed(places, tmp_path, make):
    base = places[0].parent
    base.mkdir(parents=True)
    for i in range(cache.KEPT_FOLDERS + 4):
        make(base / f"kernels-{i:016}", tmp_path / f"elsewhere-{i}")
        (base / f"kernels-{i}").mkdir()
        os.utime(base / f"kernels-{i:016}", (1e9, 1e9))
    before = set(tmp_path.rglob("*"))
    times(2)
    assert before <= set(tmp_path.rglob("*"))


def test_folders_beside_the_target_of_a_link_are_not_removed(places, tmp_path):
    beside = [tmp_path / "project" / f"kernels-{i:016}" for i in range(cache.KEPT_FOLDERS + 5)]
    for folder in beside:
        folder.mkdir(parents=True)
    (tmp_path / "project" / "target").mkdir()
    places[0].parent.mkdir(parents=True)
    places[0].symlink_to(tmp_path / "project" / "target")
    assert [times(2), times(3)] == [(20, False), (20, True)]
    assert all(folder.is_dir() for folder in beside)


def test_loading_counts_as_use(places):
    times(2)
    os.utime(places[0], (1e9, 1e9))
    assert times(2) == (20, True)
    assert places[0].stat().st_mtime > 1e9


def test_a_folder_that_vanishes_while_in_use_is_made_anew(places):
    file = saved(places)
    shutil.rmtree(places[0].parent)
    assert [times(3), times(3)] == [(30, False), (30, True)]
    assert files_in(places) == [file]


# PROGRAM prints softplus(0), computed by a network of one unit, and the cache hits and misses of its kernel.
PROGRAM = """
from fastbp import textbook
from fastbp.kernels import prediction
a = textbook.forward([[0.0]], [[[1.0]]], None, out_activation="softplus")
stats = prediction.predict.stats
print(float(a[-1][0, 0]), sum(stats.cache_hits.values()), sum(stats.cache_misses.values()))
"""


def run(package):
    """(softplus(0), cache hits, cache misses) of a new process that imports `package`."""
    environment = os.environ | {"PYTHONPATH": str(package.parent), "NUMBA_CACHE_DIR": str(package.parent / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        capture_output=True,
        text=True,
        cwd=package.parent,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    value, hits, misses = done.stdout.split()
    return float(value), int(hits), int(misses)


def test_editing_a_function_that_a_cached_kernel_calls_changes_the_next_result(tmp_path):
    package, value = tmp_path / "fastbp", 0.6931471805599453
    shutil.copytree(pathlib.Path(fastbp.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    assert run(package) == (pytest.approx(value, rel=1e-15), 0, 1)
    assert run(package) == (pytest.approx(value, rel=1e-15), 1, 0)

    callee = package / "kernels" / "elementary.py"
    text, body = callee.read_text(), "+ log1p(exp(-abs(x)))"
    assert text.count(body) == 1
    callee.write_text(text.replace(body, "+ constant(3, x) * log1p(exp(-abs(x)))"))
    assert run(package) == (pytest.approx(3 * value, rel=1e-15), 0, 1)
    callee.write_text(text)
    assert run(package) == (pytest.approx(value, rel=1e-15), 1, 0)
