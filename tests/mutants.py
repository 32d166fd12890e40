"""Mutation testing: change one place of the source at a time, and count how often the tests notice.

    python -m tests.mutants [--number 40] [--seed 1] [--limit 1800] [engine] [api] [stores]

It works in a copy of the tree that comes first on PYTHONPATH, so that services which tests start in processes of their
own import the mutated source, too. The tests that a mutant is run against are those of its room: first the file that is
named after the module, then those that import it, then the others, of each the quickest first. A mutant whose tests
take far longer than without it counts as killed and is listed as a timeout.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from importlib.util import cache_from_source
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

ROOMS = ("engine", "api", "stores")
PACKAGE = Path("service/streamnorm")
#: tests of a part of a room that are in a folder of their own
ELSEWHERE = {
    Path("api/routes/bulk.py"): Path("tests/streaming"),
    Path("api/routes/websocket.py"): Path("tests/streaming"),
    Path("api/streaming"): Path("tests/streaming"),
    Path("engine/blocks/many.py"): Path("tests/gpu"),
    Path("stores/redis"): Path("tests/replicas"),
}
#: what is left out of the copy
IGNORED = (".git", ".venv*", "__pycache__", ".*_cache", ".hypothesis", "node_modules", "build")
COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip


class Mutant(NamedTuple):
    """A module's source with one place changed."""

    path: Path
    source: str
    changed: str

    def diff(self) -> str:
        """Return the change as a unified diff without context."""
        name = str(self.path)
        lines = difflib.unified_diff(self.source.splitlines(), self.changed.splitlines(), name, name, "", "", 0, "")
        return "\n".join(lines)


class Outcome(NamedTuple):
    """How a run of tests ended: `killed`, `survived`, or `timeout`; and in how many seconds, by test file, too."""

    what: str
    seconds: float
    by_file: Mapping[str, float]


def mutants(path: Path, source: str) -> Iterator[Mutant]:
    """Generate every mutant of a module.

    Docstrings, annotations, decorators, messages and what is only imported for type checking are left as they are.
    """
    code = source.encode()
    starts = [0, *accumulate(len(line) for line in code.splitlines(keepends=True))]
    for node in _nodes(ast.parse(source)):
        start = starts[node.lineno - 1] + node.col_offset
        end = starts[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0)
        for new in _changes(node):
            yield Mutant(path, source, (code[:start] + new.encode() + code[end:]).decode())


def _nodes(node: ast.AST) -> Iterator[ast.expr | ast.stmt]:
    """Generate the nodes below one that may be changed, in the source's order."""
    if isinstance(node, ast.expr | ast.stmt):
        yield node
    for field, value in ast.iter_fields(node):
        if field in {"annotation", "returns", "decorator_list", "type_params", "slice_annotation"}:
            continue
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or isinstance(child, ast.JoinedStr | ast.Import | ast.ImportFrom):
                continue
            if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
                continue
            if isinstance(child, ast.keyword) and child.arg == "strict":
                continue  # a check of our own work: nothing notices it where the work is right
            yield from _nodes(child)


def _changes(node: ast.expr | ast.stmt) -> Iterator[str]:
    """Generate what could stand in a node's place."""
    match node:
        case ast.Compare(left, [op], others) if type(op) in COMPARISONS:
            yield _unparsed(ast.Compare(left, [COMPARISONS[type(op)]()], others))
        case ast.BoolOp(op, values):
            yield _unparsed(ast.BoolOp(ast.And() if isinstance(op, ast.Or) else ast.Or(), values))
        case ast.UnaryOp(ast.Not(), operand):
            yield _unparsed(operand)
        case ast.BinOp(left, op, right) if type(op) in OPERATORS:
            yield _unparsed(ast.BinOp(left, OPERATORS[type(op)](), right))
        case ast.Constant(int(value) | float(value)):
            yield repr(not value if isinstance(value, bool) else value + max(1, abs(value)))
        case ast.Call(func, [first, second, *others], keywords) if ast.unparse(func) not in {"min", "max"}:
            if not {type(first), type(second)} & {ast.Starred} and ast.dump(first) != ast.dump(second):
                yield _unparsed(ast.Call(func, [second, first, *others], keywords))
        case ast.AugAssign() | ast.Raise() | ast.Delete() | ast.Expr(ast.Call() | ast.Await()):
            yield "pass"
        case ast.Assign([ast.Attribute() | ast.Subscript()]):
            yield "pass"


def _unparsed(node: ast.expr) -> str:
    return f"({ast.unparse(ast.fix_missing_locations(node))})"


def chosen(root: Path, room: str, number: int, seed: int) -> list[Mutant]:
    """Choose mutants of a room's modules at random, the same ones for the same source and seed."""
    found: list[Mutant] = []
    for path in sorted((root / PACKAGE / room).rglob("*.py")):
        found += mutants(path.relative_to(root), path.read_text())
    return random.Random(seed).sample(found, min(number, len(found)))


def tests_of(root: Path, path: Path, seconds: Mapping[str, float]) -> list[str]:
    """List the test files of a room, or a part of it, the likeliest to notice a change of a module first.

    `seconds` says how long files take, which decides between files that are equally likely to.
    """
    inside = path.relative_to(PACKAGE)
    dotted = "streamnorm." + ".".join(inside.with_suffix("").parts)

    def far(test: Path) -> tuple[bool, bool, float, Path]:
        imports = f"{dotted} " in (root / test).read_text()
        return test.name != f"test_{inside.name}", not imports, seconds.get(str(test), 0.0), test

    folders = [folder for part, folder in ELSEWHERE.items() if inside.is_relative_to(part)]
    found = [
        file.relative_to(root)
        for folder in (*folders, Path("tests", inside.parts[0]))
        for file in sorted((root / folder).rglob("test_*.py"), key=lambda file: far(file.relative_to(root)))
    ]
    return [str(test) for test in found]


def run_tests(root: Path, tests: list[str], limit: float, *, keep_bytecode: bool = False) -> Outcome:
    """Run test files in a tree, up to the first failure or for `limit` seconds.

    The bytecode that a run keeps saves others the time to compile what they have not changed.
    """
    paths = [str(root / "service"), str(root / "clients" / "python")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "CI": "true"}
    environment["PYTHONDONTWRITEBYTECODE"] = "" if keep_bytecode else "1"
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--durations=0", *tests]
    began = time.monotonic()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command, cwd=root, env=environment, stdout=output, stderr=output, start_new_session=True
        )
        try:
            what = "killed" if process.wait(limit) else "survived"
        except subprocess.TimeoutExpired:
            what = "timeout"
        finally:  # and the services that the tests have started
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        took = time.monotonic() - began
        output.seek(0)
        told = output.read().decode(errors="replace")
    by_file: defaultdict[str, float] = defaultdict(float)
    for seconds, file in re.findall(r"^([\d.]+)s \w+ +(.+?)::", told, re.MULTILINE):
        by_file[file] += float(seconds)
    return Outcome(what, took, by_file)


def measure(root: Path, room: str, number: int, seed: int, limit: float) -> float:
    """Run the mutants of a room, print what became of them, and return the percentage that was killed.

    Raises:
        SystemExit: the tests fail without any change.

    """
    outcomes: list[str] = []
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="streamnorm-mutants-") as folder:
        copy = Path(folder, "tree")
        shutil.copytree(root, copy, ignore=shutil.ignore_patterns(*IGNORED), symlinks=True)
        elsewhere = {
            str(folder) for part, folder in ELSEWHERE.items() if part.parts[0] == room and (copy / folder).exists()
        }
        plain = run_tests(copy, [f"tests/{room}", *sorted(elsewhere)], 3600.0, keep_bytecode=True)
        if plain.what != "survived":
            raise SystemExit(f"{room}: the tests fail without any mutation")
        print(f"{room}: the tests take {plain.seconds:.0f} s", flush=True)
        for mutant in chosen(root, room, number, seed):
            if time.monotonic() - began > limit:
                break
            # a change within the second of the source's time, and of its length, would go unnoticed
            Path(cache_from_source(str(copy / mutant.path))).unlink(missing_ok=True)
            (copy / mutant.path).write_text(mutant.changed)
            outcome = run_tests(copy, tests_of(copy, mutant.path, plain.by_file), 60.0 + 3.0 * plain.seconds)
            (copy / mutant.path).write_text(mutant.source)
            outcomes.append(outcome.what)
            found = f"\n{mutant.diff()}" if outcome.what != "killed" else f" {mutant.path}"
            print(f"{len(outcomes)}. {outcome.what}:{found}", flush=True)
    survived = outcomes.count("survived")
    share = 100.0 * (1.0 - survived / max(1, len(outcomes)))
    figures = f"{len(outcomes)} mutants, {survived} survived, {outcomes.count('timeout')} timeouts"
    print(f"{room}: {figures}: {share:.0f} % killed", flush=True)
    return share


def main(arguments: list[str] | None = None) -> None:
    """Measure rooms; exits with 1 where fewer are killed than demanded."""
    parser = argparse.ArgumentParser(prog="make mutants", description="Count mutations that the tests notice.")
    parser.add_argument("rooms", nargs="*", choices=ROOMS, default=ROOMS, metavar="ROOM", help=", ".join(ROOMS))
    parser.add_argument("--number", type=int, default=40, help="mutants a room (40)")
    parser.add_argument("--seed", type=int, default=1, help="which mutants are chosen (1)")
    parser.add_argument("--limit", type=float, default=1800.0, help="seconds a room, after which no more begin (1800)")
    parser.add_argument("--wanted", type=float, default=85.0, help="percentage that is to be killed (85)")
    given = parser.parse_args(arguments)
    root = Path(__file__).parents[1]
    shares = [measure(root, room, given.number, given.seed, given.limit) for room in given.rooms]
    sys.exit(min(shares) < given.wanted)


if __name__ == "__main__":
    main()
