"""Private interfaces of dependencies, each used in one file here.

Every dependency has an upper bound in pyproject.toml: a release that the tests have not seen may change what is used.
"""
