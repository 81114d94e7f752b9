"""The kit tries blocking drivers with their transactions, over a protocol with state."""

from __future__ import annotations

from typing import Any

import pytest

from harness.conformance import kit
from harness.conformance.kit import Case, Nonconformance, cases
from harness.contract.blocking import BlockingClient
from harness.contract.client import Failed, Indeterminate
from tests.toys.line_service import LineDriver, LineSpeaker, LineTransaction

pytestmark = pytest.mark.slow


def every_case(driver: type[LineDriver], wait_s: float = 30.0) -> dict[str, Case]:
    def client(op_timeout_s: float) -> Any:
        return BlockingClient(driver(op_timeout_s))

    return {str(case): case for case in cases(client=client, speaker=LineSpeaker(), wait_s=wait_s)}


SOME = ("read:", "write:", "transaction", "scan_and_delete")
"""Trials that differ in what they send; the others would wait as long for the same."""


@pytest.mark.parametrize(
    "case",
    [case for name, case in every_case(LineDriver).items() if name.startswith(SOME)],
    ids=str,
)
def test_an_honest_blocking_client_passes(case: Case) -> None:
    case.run()


class BelievesEveryCommit(LineDriver):
    """Does not look at what a commit was answered with."""

    def judged(self, answer: dict[str, Any], in_doubt: type[Failed | Indeterminate]) -> Any:
        return super().judged({**answer, "tag": "COMMIT"}, in_doubt)


class ThinksPutsHarmless(LineDriver):
    """Right in a transaction, and wrong outside of one."""

    def write(self, key: Any, value: Any) -> None:
        self.ask({"f": "put", "key": str(key), "value": value}, effective=False)


class DoubtsInTransactions(LineDriver):
    """Says that a refused commit is in doubt, where the server's word is certain."""

    def begin(self, *, read_only: bool = False) -> LineTransaction:
        return DoubtfulTransaction(super().begin(read_only=read_only).driver, read_only)


class DoubtfulTransaction(LineTransaction):
    def commit(self) -> None:
        try:
            super().commit()
        except Failed as error:
            raise Indeterminate(error.error) from error


class CommitsOnce(LineDriver):
    """Commits again on a new connection where the first one was lost."""

    def ask(self, request: dict[str, Any], *, effective: bool = False) -> Any:
        try:
            return super().ask(request, effective=effective)
        except Indeterminate:
            if request["f"] == "commit":
                return super().ask(request, effective=effective)
            raise


class KeepsItsConnection(LineDriver):
    """After a time-out the connection stays, and with it the answer that comes late."""

    share = 0.1

    def close(self) -> None:
        return None


@pytest.mark.parametrize(
    ("driver", "case", "what"),
    [
        (
            BelievesEveryCommit,
            "transaction, request 4 (commit): server answers a commit that was a rollback,"
            " a fresh connection",
            "it became ok (202) where only fail is right",
        ),
        (
            ThinksPutsHarmless,
            "write: server reads and closes, a fresh connection",
            "only info is right: the server received effective",
        ),
        (
            DoubtsInTransactions,
            "scan_and_insert, request 4 (commit): server answers busy, a fresh connection",
            "where only fail is right",
        ),
        (
            CommitsOnce,
            "transaction, request 4 (commit): server reads and closes, a used connection",
            "requests were sent where 4 belong to the operation",
        ),
        (
            KeepsItsConnection,
            "read: server answers late, a fresh connection",
            "the connection was not closed after the time-out",
        ),
    ],
)
@pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
def test_a_planted_fault_of_a_blocking_client_is_caught(
    driver: type[LineDriver], case: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kit, "_HASTY_S", (5.0, 20.0))
    with pytest.raises(Nonconformance) as caught:
        every_case(driver, wait_s=0.5)[case].run()
    assert what in str(caught.value)


def test_the_same_request_is_told_apart_by_its_connection() -> None:
    names = every_case(LineDriver)
    rolled_back = [name for name in names if "rollback" in name]
    assert len(rolled_back) == 6  # to commits, of six trials, and to nothing else
    assert all("(commit)" in name for name in rolled_back)
