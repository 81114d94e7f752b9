"""The report: one self-contained page per run, drawn from what the run folder holds.

``render(run_dir)`` writes ``report.html`` and ``plots/*.png``. It judges nothing: the verdict was
made by the checkers and stands in ``verdict.json``; here it is shown with everything a reader
needs to believe it or to doubt it. See ``docs/reading-a-report.md``.
"""

from harness.report.page import page_of, render

__all__ = ["page_of", "render"]
