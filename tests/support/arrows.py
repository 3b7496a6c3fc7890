"""The imports between the modules of fastbp, called arrows, and the rules that forbid some of them.

A module is named relative to the package: "training.lbfgs", "dask" for dask/__init__.py, "" for the package itself.
"""

import ast
import pathlib
from collections.abc import Iterator, Mapping
from typing import NamedTuple

PACKAGE = "fastbp"
# From top to bottom. A folder imports only from floors below its own, or from itself. So only __main__ imports cli.
FLOORS = (
    ("__main__",),
    ("cli",),
    ("", "dask", "displays", "onnx"),
    ("tabular",),
    ("ensemble", "model_selection"),
    ("estimators", "textbook", "encoding"),
    ("training",),
    ("data",),
    ("network", "parallel"),
    ("kernels",),
    ("typing", "extras", "live_line", "version"),
)
FLOOR_OF = {folder: -number for number, floor in enumerate(FLOORS) for folder in floor}
# {folder: the only folders of fastbp besides itself that it may import}
ALONE = {"kernels": (), "parallel": ("kernels",)}
# {(folder, imported folder): the only file of the folder that may import it}
ONLY = {("dask", "estimators"): "__init__", ("dask", "model_selection"): "halving"}
# From top to bottom, within kernels/: a group imports only from itself and from groups below it.
KERNEL_GROUPS = ("formulas", "machine", "compiling")


class Arrow(NamedTuple):
    """One import, or one use of a private name of a module that was imported."""

    path: str  # of the importing file, relative to the package
    line: int
    source: str  # the module that imports
    target: str  # the module that is imported, or that the name comes from
    name: str  # the name that is imported; "" means the module itself

    def __str__(self) -> str:
        what = f"{self.target or PACKAGE}.{self.name}" if self.name else self.target or PACKAGE
        return f"{self.path}:{self.line} imports {what}"


def read_sources(folder: pathlib.Path) -> dict[str, str]:
    """{path relative to the folder: source} of every Python file in the folder."""
    return {path.relative_to(folder).as_posix(): path.read_text() for path in sorted(folder.rglob("*.py"))}


def complaints(sources: Mapping[str, str]) -> list[str]:
    """Every arrow that breaks a rule, and the rule that it breaks."""
    found = []
    for arrow in arrows_of(sources):
        found += [f"{arrow}: {rule}" for rule in broken_rules(arrow)]
    return found


def arrows_of(sources: Mapping[str, str]) -> Iterator[Arrow]:
    """All arrows of all files, including imports inside functions."""
    modules = set(map(module_of, sources))
    for path, source in sources.items():
        tree, module = ast.parse(source), module_of(path)
        bound: dict[str, str] = {}  # names in this file that stand for modules of fastbp
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    if alias.name.split(".")[0] == PACKAGE:
                        target = alias.name.partition(".")[2]
                        bound[alias.asname or alias.name] = target
                        yield Arrow(path, node.lineno, module, target, "")
            elif isinstance(node, ast.ImportFrom):
                base = imported_from(node, path)
                for alias in node.names if base is not None else ():
                    inner = f"{base}.{alias.name}".strip(".")
                    if inner in modules:
                        bound[alias.asname or alias.name] = inner
                        yield Arrow(path, node.lineno, module, inner, "")
                    else:
                        yield Arrow(path, node.lineno, module, base, alias.name)
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and is_private(node.attr):
                target = bound.get(ast.unparse(node.value))
                if target is not None:
                    yield Arrow(path, node.lineno, module, target, node.attr)


def module_of(path: str) -> str:
    return path.removesuffix("__init__.py").removesuffix(".py").strip("/").replace("/", ".")


def imported_from(node: ast.ImportFrom, path: str) -> str | None:
    """The module after `from`; None if it is not in fastbp."""
    if node.level == 0:
        name = node.module or ""
        return name.partition(".")[2] if name.split(".")[0] == PACKAGE else None
    folders = path.split("/")[:-1]  # one dot is the folder of the file, for an __init__.py too
    folders = folders[: len(folders) - (node.level - 1)]
    return ".".join([*folders, *filter(None, [node.module])])


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def top(module: str) -> str:
    """The folder, or the module beside the folders, that a module belongs to."""
    return module.partition(".")[0]


def kernel_group(module: str) -> int:
    """Index in KERNEL_GROUPS of a module's sub-folder. Modules in kernels/ itself are formulas."""
    folder, *inner = module.split(".")
    return KERNEL_GROUPS.index(inner[0]) if folder == "kernels" and inner and inner[0] in KERNEL_GROUPS else 0


def broken_rules(arrow: Arrow) -> Iterator[str]:
    source, target = top(arrow.source), top(arrow.target)
    for folder in {source, target} - set(FLOOR_OF):
        yield f"{folder} has no floor"
        return
    if source != target:
        if FLOOR_OF[target] >= FLOOR_OF[source]:
            yield "not downwards"
        if source in ALONE and target not in ALONE[source]:
            yield f"{source} imports nothing but {' and '.join(('itself', *ALONE[source]))}"
        only = ONLY.get((source, target))
        if only and arrow.path != f"{source}/{only}.py":
            yield f"of {source}, only its {only} imports {target}"
        if source == "__main__" and target != "cli":
            yield "__main__ imports only cli"
    elif source == "kernels" and kernel_group(arrow.target) < kernel_group(arrow.source):
        yield f"{KERNEL_GROUPS[kernel_group(arrow.source)]} is below {KERNEL_GROUPS[kernel_group(arrow.target)]}"
    crosses = source != target or kernel_group(arrow.source) != kernel_group(arrow.target)
    if crosses and any(map(is_private, [*arrow.target.split("."), arrow.name])):
        yield "private"
