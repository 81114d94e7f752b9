"""The checker unhandled-exceptions sorts errors and is always valid."""

from __future__ import annotations

from checkers.run.unhandled_exceptions import UnhandledExceptions
from tests.checkers.scripted import judged


def test_errors_of_unknown_outcome_are_grouped_by_kind() -> None:
    script = """
        0 + write 1
        0 - info # ["sent", "timed out"]
        0 + write 1
        0 - info # ["sent", "timed out"]
        1 + write 2
        1 - info # "reset: by peer"
        2 + write 3
        2 - fail # ["connect", "refused"]
        3 write 4 ?
    """
    verdict = judged(UnhandledExceptions, script)
    assert verdict.valid is True
    assert [(each["class"], each["count"]) for each in verdict.stats["exceptions"]] == [
        ("sent timed out", 2),
        ("reset", 1),
    ]
    assert verdict.stats["count"] == 3
    assert verdict.stats["exceptions"][0]["example"]["index"] == 1


def test_an_exception_as_jepsen_records_it_has_a_class() -> None:
    script = '0 + read\n0 - info # {"via": [{"type": "java.io.IOException"}]}'
    stats = judged(UnhandledExceptions, script).stats
    assert stats["exceptions"][0]["class"] == "java.io.IOException"
