# SPDX-License-Identifier: Apache-2.0
"""The rules of the house as functions: a source file in, what is wrong with it out.

`tests/test_architecture.py` holds every file against them, and every rule against a file that breaks it.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

FILE_LINES = 400
FUNCTION_LINES = 60

# DESIGN section 2. A module imports from rows above its own, and from its own package; never from a neighbour in its
# row. The last four rows are one floor, processes: who starts whom.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("errors",),
    ("program",),
    ("model",),
    ("config",),
    ("life",),
    ("host",),
    ("inventory", "plan", "apply", "metrics"),
    ("job",),
    ("operations", "networking"),
    ("api", "link", "diagnose"),
    ("daemon",),
    ("ramdisk", "service", "ironic"),
    ("controller", "bmsctl"),
    ("cli",),
)
PROTOCOL_ONLY = ("controller", "bmsctl")  # other programs in the same wheel: they know the agent by floor 0
VALUES = ("errors", "program", "model", "config", "life")

# Who may import what: files, or folders that end with a slash. Rules of agent/ alone.
DOORS: dict[str, tuple[str, ...]] = {
    "subprocess": ("agent/host/run.py", "agent/controller/imports/sandbox.py"),
    "pyudev": ("agent/host/hotplug.py",),
    "pyroute2": ("agent/host/netlink.py", "agent/host/traffic.py"),
    "psutil": ("agent/host/counters.py",),
    "structlog": ("agent/program/log.py", "agent/cli/logs.py", "agent/controller/log.py"),
    "urllib3": (
        "agent/host/fetch.py",
        "agent/host/connections.py",
        "agent/link/body.py",
        "agent/controller/imports/download.py",
    ),
    "certifi": ("agent/host/connections.py",),
    "requests": (
        "agent/link/",
        "agent/bmsctl/client.py",
        "agent/controller/bmc.py",
        "agent/controller/imports/download.py",
    ),
    "tenacity": ("agent/link/", "agent/bmsctl/client.py", "agent/controller/bmc.py"),
    "fcntl": ("agent/host/",),
    "ctypes": ("agent/host/",),
    "sqlalchemy": ("agent/controller/store/",),
    "alembic": ("agent/controller/store/",),
    "fastapi": ("agent/controller/", "agent/api/"),
    "starlette": ("agent/controller/", "agent/api/"),
    "uvicorn": ("agent/controller/", "agent/api/"),
}
NEVER_IN_PLAN = {"time", "datetime", "random", "secrets", "uuid", "os", "io", "pathlib", "socket", "threading"}
FORBIDDEN_NAMES = {"util", "utils", "helper", "helpers", "common", "base", "manager", "misc"}


@dataclass(frozen=True)
class Import:
    """One imported module, or one name of it; `line` is where."""

    module: str
    name: str | None
    bound_as: str
    line: int


@dataclass
class Source:
    """A Python file of the repository; `path` is relative to it."""

    path: str
    text: str = field(repr=False)

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree."""
        return ast.parse(self.text)

    @cached_property
    def imports(self) -> list[Import]:
        """Every import, wherever it stands."""
        found: list[Import] = []
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for each in node.names:
                    bound = each.asname or each.name.partition(".")[0]
                    found.append(Import(each.name, None, bound, node.lineno))
            elif isinstance(node, ast.ImportFrom):
                module = "." * node.level + (node.module or "")
                found.extend(Import(module, each.name, each.asname or each.name, node.lineno) for each in node.names)
        return found

    @property
    def in_agent(self) -> bool:
        """Whether this file is part of the program."""
        return self.path.startswith("agent/")

    @property
    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        """Every function and method."""
        return (node for node in ast.walk(self.tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


Rule = Callable[[Source], Iterator[str]]


def floors(source: Source) -> Iterator[str]:
    """Imports go down."""
    if not source.in_agent or source.path in ("agent/__init__.py", "agent/__main__.py"):
        return
    here = part_of(source.path.removesuffix(".py").replace("/", "."))
    if row(here) is None:
        yield f"{here} stands on no floor: put it into FLOORS"
        return
    for each in source.imports:
        there = imported_part(each)
        if there is None or there == here:
            continue
        low, high = row(there), row(here)
        if low is None or high is None or low >= high:
            yield f"line {each.line}: {here} imports {there}, which is not below it"
        elif here in PROTOCOL_ONLY and there not in VALUES:
            yield f"line {each.line}: {here} imports {there}, but it may know the agent by {', '.join(VALUES)} only"


def part_of(module: str) -> str:
    """agent.host.run → host."""
    return module.split(".")[1]


def imported_part(each: Import) -> str | None:
    """The part of the agent that an import reaches; `None` for foreign ones and for `agent` itself."""
    if each.module == "agent":
        return each.name if row(each.name or "") is not None else None
    return part_of(each.module) if each.module.startswith("agent.") else None


def row(part: str) -> int | None:
    """The row of FLOORS that a part stands in."""
    return next((number for number, parts in enumerate(FLOORS) if part in parts), None)


def doors(source: Source) -> Iterator[str]:
    """One door per kind of effect."""
    if not source.in_agent:
        return
    for each in source.imports:
        library = each.module.partition(".")[0]
        allowed = DOORS.get(library)
        if allowed is not None and not source.path.startswith(allowed):
            yield f"line {each.line}: only {', '.join(allowed)} may import {library}"


def private_names(source: Source) -> Iterator[str]:
    """What begins with an underscore belongs to its module."""
    for each in source.imports:
        if any(is_private(part) for part in (*each.module.split("."), each.name or "")) and each.module != "__future__":
            yield f"line {each.line}: imports a private name, {each.module}.{each.name or ''}".rstrip(".")
    imported = {each.bound_as for each in source.imports}
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            owner = node.value
            if isinstance(owner, ast.Name) and owner.id in imported:
                yield f"line {node.lineno}: uses a private name of another module, {owner.id}.{node.attr}"


def is_private(name: str) -> bool:
    """Whether a name is a module's own."""
    return name.startswith("_") and not name.startswith("__")


def module_names(source: Source) -> Iterator[str]:
    """A module's name says what it is about."""
    for part in source.path.removesuffix(".py").split("/"):
        if part in FORBIDDEN_NAMES:
            yield f"'{part}' says nothing: name the noun"


def no_mocks(source: Source) -> Iterator[str]:
    """Fakes, never mocks; and no function is patched."""
    for each in source.imports:
        if "mock" in each.module.split(".") or (each.module == "unittest" and each.name == "mock"):
            yield f"line {each.line}: imports {each.module}: write a fake"
    for node in ast.walk(source.tree):
        if (
            isinstance(node, ast.Attribute)
            and node.attr in ("setattr", "delattr")
            and "monkeypatch" in ast.unparse(node)
        ):
            yield f"line {node.lineno}: patches an attribute: pass a fake in"


def sizes(source: Source) -> Iterator[str]:
    """Files and functions stay small."""
    lines = source.text.count("\n")
    if lines > FILE_LINES:
        yield f"{lines} lines; {FILE_LINES} is the end"
    for each in source.functions:
        length = (each.end_lineno or each.lineno) - each.lineno + 1
        if length > FUNCTION_LINES:
            yield f"line {each.lineno}: {each.name} has {length} lines; {FUNCTION_LINES} is the end"


def opening(source: Source) -> Iterator[str]:
    """Licence, then duty."""
    yield from licence(source.text)
    if ast.get_docstring(source.tree) is None:
        yield "has no docstring that says its duty"


def licence(text: str) -> Iterator[str]:
    """One line, the first but for a script's `#!`."""
    first = text.partition("\n")[2] if text.startswith("#!") else text
    if not first.startswith("# SPDX-License-Identifier: Apache-2.0\n"):
        yield "does not open with '# SPDX-License-Identifier: Apache-2.0'"


def tests_read_as_sentences(source: Source) -> Iterator[str]:
    """The list of the tests' docstrings is the specification."""
    if not source.path.startswith("tests/"):
        return
    for each in source.functions:
        if each.name.startswith("test_") and ast.get_docstring(each) is None:
            yield f"line {each.lineno}: {each.name} does not say what must hold"


def pure_planner(source: Source) -> Iterator[str]:
    """agent/plan decides and touches nothing: no clock, no chance, no files, no host."""
    if not source.path.startswith("agent/plan/"):
        return
    for each in source.imports:
        if each.module.partition(".")[0] in NEVER_IN_PLAN or imported_part(each) == "host":
            yield f"line {each.line}: imports {each.module}: pass the value in"
    for node in ast.walk(source.tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in ("open", "print", "input")
        ):
            yield f"line {node.lineno}: calls {node.func.id}()"


RULES: tuple[Rule, ...] = (
    floors,
    doors,
    private_names,
    module_names,
    no_mocks,
    sizes,
    opening,
    tests_read_as_sentences,
    pure_planner,
)
