"""Measure what the unit tests catch: change the code in one place, run the tests.

python benchmarks/mutants.py bhds/bars bhds/quality [--sample 200] [--seed 1]

Each mutant changes one place of one module and runs its unit tests (`tests_of`) until
one fails. A fork of this process, which has imported the libraries, runs them in a copy
of the tree: the checkout stays as it is. Property tests draw the same examples in every
run, and stop at the first that fails.
"""

import argparse
import ast
import contextlib
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# Before Polars is imported: forks are safe, as this process itself computes nothing.
os.environ |= {"POLARS_ALLOW_FORKING_THREAD": "1", "POLARS_MAX_THREADS": "1"}
# Files of one size and second would be taken for each other.
os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
sys.dont_write_bytecode = True
os.environ.setdefault("EXAMPLES", "100")
import polars  # noqa: E402, F401
import pytest  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
OPERATORS: dict[type, tuple[str, str]] = {
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.In: ("in", "not in"),
    ast.NotIn: ("not in", "in"),
    ast.Is: ("is", "is not"),
    ast.IsNot: ("is not", "is"),
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "+"),
    ast.Div: ("/", "*"),
    ast.FloorDiv: ("//", "*"),
    ast.Mod: ("%", "//"),
    ast.BitAnd: ("&", "|"),
    ast.BitOr: ("|", "&"),
    ast.And: ("and", "or"),
    ast.Or: ("or", "and"),
}
PAIRS = (
    ("min", "max"),
    ("any", "all"),
    ("first", "last"),
    ("any_horizontal", "all_horizontal"),
    ("min_horizontal", "max_horizontal"),
    ("is_null", "is_not_null"),
    ("forward_fill", "backward_fill"),
    ("cum_max", "cum_min"),
    ("arg_max", "arg_min"),
    ("is_first_distinct", "is_last_distinct"),
    ("startswith", "endswith"),
    ("removeprefix", "removesuffix"),
)
NAMES = {**dict(PAIRS), **{second: first for first, second in PAIRS}}
STRINGS = {
    "forward": "backward",
    "backward": "forward",
    "first": "last",
    "last": "first",
    "semi": "anti",
    "anti": "semi",
    "inner": "left",
    "left": "inner",
}


@dataclass(frozen=True)
class Mutant:
    """One place of a module and what stands there instead."""

    path: str
    line: int
    start: int
    end: int
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.old} -> {self.new}"


def find_mutants(path: Path, root: Path) -> Iterator[Mutant]:  # noqa: PLR0912
    """Yield every mutant of a module, in the order of its text."""
    source = path.read_bytes()
    lines = source.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    tree = ast.parse(source)
    ignored = without_effect(tree)

    def span(node: ast.expr) -> tuple[int, int]:
        end_line = node.end_lineno or node.lineno
        return (
            starts[node.lineno - 1] + node.col_offset,
            starts[end_line - 1] + (node.end_col_offset or 0),
        )

    def mutant(start: int, end: int, new: str) -> Mutant:
        line = source.count(b"\n", 0, start) + 1
        return Mutant(
            str(path.relative_to(root)),
            line,
            start,
            end,
            source[start:end].decode(),
            new,
        )

    def between(left: ast.expr, right: ast.expr, kind: type) -> Iterator[Mutant]:
        if kind in OPERATORS:
            old, new = OPERATORS[kind]
            at = source.index(old.encode(), span(left)[1], span(right)[0])
            yield mutant(at, at + len(old), new)

    for node in ast.walk(tree):
        if node in ignored:
            continue
        match node:
            case ast.Compare():
                sides = [node.left, *node.comparators]
                for left, operator, right in zip(
                    sides, node.ops, sides[1:], strict=False
                ):
                    yield from between(left, right, type(operator))
            case ast.BinOp():
                yield from between(node.left, node.right, type(node.op))
            case ast.BoolOp():
                for left, right in zip(node.values, node.values[1:], strict=False):
                    yield from between(left, right, type(node.op))
            case ast.UnaryOp(op=ast.Not() | ast.Invert(), operand=operand):
                yield mutant(span(node)[0], span(operand)[0], "")
            case ast.If(test=test) | ast.IfExp(test=test):
                start, end = span(test)
                yield mutant(start, end, f"not ({source[start:end].decode()})")
            case ast.Call(func=ast.Attribute(attr="filter"), args=[argument]):
                start, end = span(argument)
                yield mutant(start, end, f"~({source[start:end].decode()})")
            case ast.Constant(value=bool(value)):
                yield mutant(*span(node), str(not value))
            case ast.Constant(value=int(value)):
                yield mutant(*span(node), str(value + 1))
                yield mutant(*span(node), str(value - 1))
            case ast.Constant(value=str(value)) if value in STRINGS:
                yield mutant(*span(node), repr(STRINGS[value]))
            case ast.Attribute(attr=attr) if attr in NAMES:
                end = span(node)[1]
                yield mutant(end - len(attr), end, NAMES[attr])
            case ast.Name(id=name) if name in ("min", "max", "any", "all"):
                yield mutant(*span(node), NAMES[name])
            case ast.FunctionDef():
                for column, other in swapped_columns(node):
                    yield mutant(*span(column), f'"{other}"')


def swapped_columns(function: ast.FunctionDef) -> Iterator[tuple[ast.expr, str]]:
    """Yield each column of a function with the next one that the function names."""
    columns = [
        node.args[0]
        for node in ast.walk(function)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) == "pl.col"
        and len(node.args) == 1
        and isinstance(node.args[0], ast.Constant)
    ]
    names = sorted({str(ast.literal_eval(column)) for column in columns})
    if len(names) > 1:
        for column in columns:
            at = names.index(str(ast.literal_eval(column)))
            yield column, names[(at + 1) % len(names)]


def without_effect(tree: ast.Module) -> set[ast.AST]:
    """Return the nodes that only type checkers and readers of messages see."""
    found: set[ast.AST] = set()
    for node in ast.walk(tree):
        parts: list[ast.AST | None] = []
        match node:
            case ast.FunctionDef():
                parts = [node.returns, *node.decorator_list]
                arguments = node.args
                every = arguments.posonlyargs + arguments.args + arguments.kwonlyargs
                parts += [argument.annotation for argument in every]
            case ast.AnnAssign():
                parts = [node.annotation]
            case ast.Assert() | ast.Raise() | ast.JoinedStr():
                parts = [node]
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                parts = [node]
            case ast.Call(func=ast.Name(id="cast" | "zip")):
                parts = [*(keyword.value for keyword in node.keywords)]
            case ast.ClassDef():
                parts = [*node.decorator_list]
        for part in parts:
            if part is not None:
                found.update(ast.walk(part))
    return found


def tests_of(module: Path, root: Path) -> list[str]:
    """Return the unit tests of a module: its own, then those that import it.

    Where there are none: those of the modules that import it, else all of its package.
    """
    folder = Path("tests/unit", *module.parts[1:-1])
    package = ".".join(module.parts[:-1])
    imported = re.compile(
        rf"{package}\.{module.stem}\b|from {package} import .*\b{module.stem}\b"
    )
    own = folder / f"test_{module.stem}.py"
    tests = [own, *_matching(root, folder, imported)]
    if not (root / own).exists():
        users = _matching(root, module.parent, imported)
        beside = [folder / f"test_{user.stem}.py" for user in users]
        tests = tests[1:] or [test for test in beside if (root / test).exists()]
    return [str(test) for test in dict.fromkeys(tests or [folder])]


def _matching(root: Path, folder: Path, pattern: re.Pattern[str]) -> list[Path]:
    """Return the modules of a folder in which a pattern occurs."""
    paths = sorted((root / folder).glob("*.py"))
    return [
        path.relative_to(root) for path in paths if pattern.search(path.read_text())
    ]


def is_caught(mutant: Mutant, tree: Path, timeout: int) -> bool:
    """Check whether a test fails, or does not end, in a tree with one mutant."""
    path = tree / mutant.path
    source = path.read_bytes()
    path.write_bytes(
        source[: mutant.start] + mutant.new.encode() + source[mutant.end :]
    )
    try:
        return not pass_tests(tests_of(Path(mutant.path), tree), tree, timeout)
    finally:
        path.write_bytes(source)


def pass_tests(tests: list[str], tree: Path, timeout: int) -> bool:
    """Check in a fork whether all tests pass in time."""
    child = os.fork()
    if child == 0:
        code = 70
        try:
            os.setpgid(0, 0)
            log = os.open(tree / "pytest.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(log, 1)
            os.dup2(log, 2)
            os.chdir(tree)
            sys.path.insert(0, str(tree))
            os.environ["PYTHONPATH"] = str(tree)
            options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
            arguments = [*options, f"--basetemp={tree}.tmp", *tests]
            code = int(pytest.main(arguments, plugins=[_PropertyTests()]))
        except BaseException:  # noqa: BLE001 - the log shows it, the parent counts it
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    end = time.monotonic() + timeout
    done, status = 0, 1
    try:
        while not done and time.monotonic() < end:
            time.sleep(0.02)
            done, status = os.waitpid(child, os.WNOHANG)
    finally:
        # So does a server that a test started, and the tests when this is interrupted.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
    if not done:
        os.waitpid(child, 0)
        return False
    return status == 0


class _PropertyTests:
    """Draw the same examples in every run, and stop at the first that fails."""

    def pytest_configure(self) -> None:
        # Not imported before pytest, which rewrites the assertions of its plugins.
        from hypothesis import Phase, settings  # noqa: PLC0415

        phases = [Phase.explicit, Phase.generate]
        settings.register_profile("mutants", derandomize=True, phases=phases)
        settings.load_profile("mutants")


def main() -> None:
    """Print each mutant that no test catches, and the number caught per package."""
    parser = argparse.ArgumentParser(description="Count the mutants that tests catch.")
    parser.add_argument("modules", nargs="+", help="folders or modules, as bhds/bars")
    parser.add_argument(
        "--sample", type=int, default=200, help="mutants (default: 200)"
    )
    parser.add_argument(
        "--seed", type=int, default=1, help="of the sample (default: 1)"
    )
    parser.add_argument(
        "--timeout", type=int, default=120, help="seconds (default: 120)"
    )
    parser.add_argument(
        "--root", type=Path, default=ROOT, help="default: this checkout"
    )
    arguments = parser.parse_args()
    root = arguments.root.resolve()
    every: list[Mutant] = []
    for name in arguments.modules:
        path = root / name
        for module in [path] if path.is_file() else sorted(path.rglob("*.py")):
            every += find_mutants(module, root)
    sample = random.Random(arguments.seed).sample(  # noqa: S311
        every, min(arguments.sample, len(every))
    )
    print(f"{len(sample)} of {len(every)} mutants, seed {arguments.seed}", flush=True)
    results: list[tuple[str, bool]] = []
    with (
        tempfile.TemporaryDirectory(prefix="mutants-") as folder,
        contextlib.suppress(KeyboardInterrupt),  # counts what was run so far
    ):
        tree = Path(folder) / "tree"
        ignored = shutil.ignore_patterns(".*", "__pycache__", "build")
        shutil.copytree(root, tree, ignore=ignored)
        passes: dict[str, bool] = {}
        for mutant in sample:
            is_dead = is_caught(mutant, tree, arguments.timeout)
            if is_dead and mutant.path not in passes:
                tests = tests_of(Path(mutant.path), tree)
                passes[mutant.path] = pass_tests(tests, tree, arguments.timeout)
            if is_dead and not passes[mutant.path]:
                print(f"not counted, as tests fail unchanged: {mutant}", flush=True)
                continue
            results.append((Path(mutant.path).parent.as_posix(), is_dead))
            if not is_dead:
                print(f"survived: {mutant}", flush=True)
    caught = Counter(package for package, is_dead in results if is_dead)
    total = Counter(package for package, _ in results)
    for package, count in sorted(total.items()):
        print(f"{package}: {caught[package]} of {count} caught")
    share = caught.total() / max(total.total(), 1)
    print(f"all: {caught.total()} of {total.total()} caught ({share:.1%})")


if __name__ == "__main__":
    main()
