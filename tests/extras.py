"""`pytest --extras`: the tests that need optional packages, none of which may be missing.

Without the option these tests are skipped where their package is not installed, so that an oracle
could rest for ever without anybody noticing. `.ci/run` installs every extra and runs them.
"""

import inspect
from typing import Any

import pytest

MISSING = ("could not import", "is not installed")


def add_option(parser: pytest.Parser) -> None:
    text = "run only the tests that need optional packages, and fail where one is missing"
    parser.addoption("--extras", action="store_true", help=text)


def keep_those_that_need_extras(config: pytest.Config, items: list[Any]) -> None:
    if config.getoption("--extras"):
        kept = [item for item in items if _needs_extras(item)]
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = kept


def fail_where_one_is_missing(item: Any, report: pytest.TestReport) -> None:
    if item.config.getoption("--extras") and report.skipped:
        reason = str(report.longrepr)
        if any(words in reason for words in MISSING):
            report.outcome, report.longrepr = "failed", f"an extra is missing: {reason}"


def _needs_extras(item: Any) -> bool:
    """Whether a test, or a fixture that it asks for, looks for a package before it goes on."""
    fixtures = [found[-1].func for found in item._fixtureinfo.name2fixturedefs.values()]
    marks = [str(mark.kwargs.get("reason", "")) for mark in item.iter_markers("skipif")]
    sources = [_source(function) for function in (item.function, *fixtures)]
    return "importorskip(" in "".join(sources) or any(MISSING[1] in reason for reason in marks)


def _source(function: Any) -> str:
    try:
        return inspect.getsource(inspect.unwrap(function))
    except (OSError, TypeError):
        return ""
