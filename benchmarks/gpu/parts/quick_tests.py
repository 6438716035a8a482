"""The quick tests of models and training, which here take the GPU: a result for each file, and for each that fails."""

from __future__ import annotations

from collections import Counter

import pytest
from setting import ROOT, arguments, say

PATHS = ("tests/training/test_step.py", "tests/training/test_inputs.py", "tests/models", "tests/training")
QUICK = PATHS[:1]
# In this one process: the machine may lack pytest-xdist.
OPTIONS = (
    "-q",
    "--tb=short",
    "-p",
    "no:cacheprovider",
    "-o",
    "addopts=--import-mode=importlib --strict-markers -m 'not slow'",
)


class Reporter:
    """Says what became of the tests while they run."""

    def __init__(self) -> None:
        self.file, self.counts = "", Counter[str]()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test has been set up, has run, or been torn down."""
        if report.location[0] != self.file:
            self.finish()
            self.file = report.location[0]
        if report.failed:
            say("failed test", test=report.nodeid, error=str(report.longrepr).splitlines()[-1][:200])
        if report.when == "call" or not report.passed:
            self.counts[report.outcome] += 1

    def finish(self) -> None:
        """The file is over."""
        if self.file:
            say("tests", file=self.file, **self.counts)
        self.counts.clear()


def main() -> None:
    options = arguments(__doc__).parse_args()
    reporter = Reporter()
    paths = [str(ROOT / path) for path in (QUICK if options.quick else PATHS)]
    code = pytest.main([*OPTIONS, *paths], plugins=[reporter])
    reporter.finish()
    raise SystemExit(code)


if __name__ == "__main__":
    main()
