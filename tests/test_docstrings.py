"""Docstrings are complete: the errors that a function raises, and the parameters that it takes."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import pytest

import streamnorm
from streamnorm import errors

FOLDER = Path(streamnorm.__file__).parent
FILES = sorted(FOLDER.rglob("*.py"))
DOMAIN_ERRORS = {name: cls for name, cls in vars(errors).items() if inspect.isclass(cls) and issubclass(cls, Exception)}

ROUTE_DECORATORS = {"get", "head", "post", "put", "delete", "command"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def public_functions(tree: ast.Module) -> list[Function]:
    """List a module's public functions and the public methods of its public classes."""
    found: list[Function] = []

    def visit(body: list[ast.stmt]) -> None:
        for node in body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                visit(node.body)
            elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and not node.name.startswith("_"):
                found.append(node)

    visit(tree.body)
    return found


def is_route(function: Function) -> bool:
    """Return whether a function is a route or a command: its documentation is the OpenAPI document or the help text."""
    calls = [decorator.func for decorator in function.decorator_list if isinstance(decorator, ast.Call)]
    return any(isinstance(call, ast.Attribute) and call.attr in ROUTE_DECORATORS for call in calls)


def parameters(function: Function) -> list[str]:
    """Name a function's parameters that it uses, except the object or the class of a method."""
    arguments = function.args
    names = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    if arguments.vararg is not None:
        names.append(arguments.vararg.arg)
    used = names[1:] if names[:1] in (["self"], ["cls"]) else names
    return [name for name in used if not name.startswith("_")]


def raised_directly(function: Function) -> set[str]:
    """Name the domain errors that a function's own body raises, nested functions excepted."""
    names: set[str] = set()
    nodes: list[ast.AST] = list(function.body)
    while nodes:
        node = nodes.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
            continue
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and isinstance(node.exc.func, ast.Name):
            names.add(node.exc.func.id)
        nodes.extend(ast.iter_child_nodes(node))
    return names & set(DOMAIN_ERRORS)


def is_named(error: str, docstring: str) -> bool:
    """Return whether the `Raises:` section names an error or one of its base classes."""
    section = docstring.partition("Raises:")[2]
    names = {base.__name__ for base in DOMAIN_ERRORS[error].__mro__ if base.__module__ == errors.__name__}
    return any(re.search(rf"\b{name}\b", section) for name in names)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(FOLDER)))
def test_every_domain_error_that_a_public_function_raises_is_in_its_docstring(file: Path) -> None:
    missing = {
        f"{function.name} (line {function.lineno})": error
        for function in public_functions(ast.parse(file.read_text()))
        for error in raised_directly(function)
        if not is_route(function) and not is_named(error, ast.get_docstring(function) or "")
    }
    assert not missing


#: Commands: Typer's options carry the help text of each parameter.
COMMANDS = {"backfill_file", "demo", "filter_lines", "migrate", "serve", "suggest"}
MANY = 3
#: Protocols that repeat an interface documented elsewhere, without docstrings.
UNDOCUMENTED = {"bulk"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(FOLDER)))
def test_every_public_function_names_its_parameters_or_the_interface_that_documents_them(file: Path) -> None:
    missing = {}
    tree = ast.parse(file.read_text())
    shared = set(re.findall(r"`(\w+)`", ast.get_docstring(tree) or ""))  # what means the same in a whole module
    for function in public_functions(tree):
        docstring = ast.get_docstring(function) or ""
        names = parameters(function)
        if len(names) < MANY or is_route(function) or function.name in COMMANDS | UNDOCUMENTED or "see `" in docstring:
            continue
        unnamed = [name for name in names if name not in shared and not re.search(rf"\b{name}\b", docstring)]
        if unnamed:
            missing[f"{function.name} (line {function.lineno})"] = unnamed
    assert not missing
