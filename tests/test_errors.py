"""The errors of the service and of its client: the tree that each draws on top is the tree there is."""

from __future__ import annotations

import re
from types import ModuleType

import pytest

from streamnorm import errors
from streamnorm_client import _errors, _problems

LINE = re.compile(r"^([│├└─ ]*)(\w+)(?: {2,}.*)?$")


def drawn(module: ModuleType) -> dict[str, str]:
    """Read the tree of a module's docstring: every class's parent by its name."""
    assert module.__doc__ is not None
    parents: dict[str, str] = {}
    path: list[str] = []
    for found in filter(None, map(LINE.match, module.__doc__.splitlines()[1:])):
        depth = len(found[1]) // 4
        path[depth:] = [found[2]]
        parents[found[2]] = path[depth - 1] if depth else "Exception"
    return parents


@pytest.mark.parametrize("modules", [(errors,), (_problems, _errors)], ids=["service", "client"])
def test_the_tree_on_top_is_the_tree_of_the_classes(modules: tuple[ModuleType, ...]) -> None:
    names = [each for module in modules for each in vars(module).values()]
    classes = [each for each in names if isinstance(each, type) and issubclass(each, Exception)]
    trees = {name: parent for module in modules for name, parent in drawn(module).items()}
    assert trees == {each.__name__: each.__bases__[0].__name__ for each in classes}
