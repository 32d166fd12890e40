"""The run itself is tested: a skipped test must not pass for a passed one."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]


def run(pytester: pytest.Pytester, source: str) -> pytest.RunResult:
    """Run a file of tests under the hooks of tests/conftest.py."""
    pytester.makepyfile(source)
    pytester.makepyprojecttoml('[tool.pytest]\nmarkers = ["gpu"]')
    return pytester.runpytest_inprocess("-p", "tests.conftest", "-p", "no:asyncio")


def test_a_skipped_test_fails_with_its_reason(pytester: pytest.Pytester) -> None:
    result = run(pytester, "import pytest\ndef test_it(): pytest.skip('no broker here')")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*no broker here*", "Nothing may be skipped but tests marked gpu*"])


def test_a_test_skipped_by_a_mark_fails(pytester: pytest.Pytester) -> None:
    run(pytester, "import pytest\n@pytest.mark.skip\ndef test_it(): pass").assert_outcomes(errors=1)


def test_a_file_skipped_on_import_fails(pytester: pytest.Pytester) -> None:
    result = run(pytester, "import pytest\npytest.skip('no library here', allow_module_level=True)")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*no library here*"])


def test_a_skipped_gpu_test_is_excused(pytester: pytest.Pytester) -> None:
    source = "import pytest\n@pytest.mark.gpu\ndef test_it(): pytest.skip('no GPU here')"
    run(pytester, source).assert_outcomes(skipped=1)


def test_an_expected_failure_is_no_skip(pytester: pytest.Pytester) -> None:
    run(pytester, "import pytest\n@pytest.mark.xfail\ndef test_it(): assert False").assert_outcomes(xfailed=1)
