"""scripts/test.sh: whatever fails, all is run and told, and the code is the first failure's.

In a tree whose programs are ours: they say that they ran, and end as the test wants.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "test.sh"
PYTHON = """#!/bin/sh
case "$*" in
  *"--group pure --collect-only"*) exit $LISTED_pure ;;
  *"--group containers --collect-only"*) exit $LISTED_containers ;;
  *"--group alone --collect-only"*) exit $LISTED_alone ;;
  *"--group databases --collect-only"*) exit $LISTED_databases ;;
  "-m pytest --group pure"*) group=pure code=$CODE_pure ;;
  "-m pytest --group containers"*) group=containers code=$CODE_containers ;;
  "-m pytest --group alone"*) group=alone code=$CODE_alone ;;
  "-m pytest --group databases"*) group=databases code=$CODE_databases ;;
  *) exit 1 ;; # no image of containers can be built here
esac
if [ "$group" = alone ] && [ -n "$ALONE_AWAITS" ]; then
  while ! grep -q "$ALONE_AWAITS" "$POLYGRAPH_COSTS"; do sleep 0.02; done
fi
echo "ran $group: $*"
printf '1.50\\t2.00\\ttest_of_%s\\n' "$group" >>"$POLYGRAPH_COSTS"
[ "$code" = 0 ] || echo "FAILED test_of_$group" >>"$POLYGRAPH_FAILURES"
exit "$code"
"""
PARTS = ("lint", "types", "pure", "containers", "alone", "databases", "nobody")
GOOD = {f"{what}_{part}": 0 for what in ("CODE", "LISTED") for part in PARTS}
"""How each part ends, and whether it is said to have any tests: 5 if not."""
NO_OTHERS = {f"LISTED_{part}": 5 for part in ("containers", "alone", "databases")}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The script among programs of ours."""
    for name, text in (
        (".venv/bin/python", PYTHON),
        (".venv/bin/ruff", "#!/bin/sh\necho ran lint\nexit $CODE_lint\n"),
        (".venv/bin/mypy", "#!/bin/sh\necho ran types\nexit $CODE_types\n"),
        ("scripts/engine.sh", '#!/bin/sh\nexec "$@"\n'),
        ("scripts/as_nobody.sh", "#!/bin/sh\necho ran nobody\nexit $CODE_nobody\n"),
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        path.chmod(0o755)
    shutil.copy(SCRIPT, tmp_path / "scripts")
    return tmp_path


def outcome(tree: Path, *words: str, **codes: int) -> subprocess.CompletedProcess[str]:
    """Run the script; how each program ends as keyword arguments."""
    environment = {name: str(code) for name, code in (GOOD | codes).items()}
    return subprocess.run(
        [tree / "scripts/test.sh", *words],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_all_parts_run(tree: Path) -> None:
    done = outcome(tree)
    assert done.returncode == 0
    for part in PARTS:
        assert (f"ran {part}" in done.stdout) is (part != "nobody" or os.geteuid() == 0)
    assert "FAILED" not in done.stdout


def test_the_costliest_tests_are_listed(tree: Path) -> None:
    told = outcome(tree).stdout.partition("== the costliest of 4 tests")[2]
    assert [told.count(f"1.50\t2.00\ttest_of_{part}\n") for part in ("pure", "databases")] == [1, 1]
    assert "\n6\tall tests\n" in told


def test_databases_begin_when_containers_end_whatever_else_is_under_way(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALONE_AWAITS", "test_of_databases")
    assert outcome(tree).returncode == 0  # or the lane waits until the test's limit ends it


@pytest.mark.parametrize(
    ("codes", "code", "told"),
    [
        ({"CODE_lint": 1}, 1, ["lint: FAILED (1)", "pure tests: good"]),
        ({"CODE_types": 2}, 2, ["types: FAILED (2)", "other tests that touch the machine: good"]),
        ({"CODE_pure": 3, "CODE_alone": 1}, 3, ["FAILED test_of_pure", "FAILED test_of_alone"]),
        (
            {"CODE_alone": 1},
            1,
            ["pure tests: good", "other tests that touch the machine: FAILED (1)"],
        ),
        ({"CODE_containers": 1}, 1, ["tests in containers: FAILED (1)", "test_of_containers"]),
        ({"CODE_databases": 1}, 1, ["tests of real databases: FAILED (1)", "test_of_databases"]),
        ({"CODE_pure": 5}, 5, ["pure tests: FAILED (5)"]),
    ],
)
def test_what_fails_keeps_nothing_else_from_running(
    tree: Path, codes: dict[str, int], code: int, told: list[str]
) -> None:
    done = outcome(tree, **codes)
    assert done.returncode == code
    summary = done.stdout.partition("== results\n")[2]
    assert [words for words in told if words not in summary] == []
    assert "ran alone" in done.stdout


def test_an_interrupt_reaches_every_lane(tree: Path) -> None:
    waiting = (
        "#!/bin/sh\ntrap 'touch put-away; exit 1' INT\ntouch waits\nwhile :; do sleep 0.05; done\n"
    )
    (tree / "scripts/engine.sh").write_text(waiting, "utf-8")
    environment = {name: str(code) for name, code in GOOD.items()}
    argv = [tree / "scripts/test.sh"]
    process = subprocess.Popen(
        argv,
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        # Whoever runs these tests in the background has it ignored, which a shell cannot undo.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 60
    while not (tree / "waits").exists():
        assert time.monotonic() < deadline, "no lane has begun"
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert (tree / "put-away").exists()


@pytest.mark.root
def test_what_fails_as_an_ordinary_user_is_told(tree: Path) -> None:
    done = outcome(tree, CODE_nobody=1)
    assert done.returncode == 1
    assert "user-namespace tests as an ordinary user: FAILED (1)" in done.stdout


def test_arguments_choose_tests_and_nothing_else_runs(tree: Path) -> None:
    done = outcome(tree, "tests/checkers", "-k", "bank or set", **NO_OTHERS)
    assert done.returncode == 0
    assert "tests/checkers -k bank or set" in done.stdout
    assert [part for part in PARTS if f"ran {part}" in done.stdout] == ["pure"]


def test_arguments_that_mean_tests_of_several_groups_run_all(tree: Path) -> None:
    done = outcome(
        tree, "-k", "bank", CODE_pure=1, CODE_alone=1, LISTED_containers=5, LISTED_databases=5
    )
    assert done.returncode == 1
    assert done.stdout.endswith("FAILED test_of_alone\nFAILED test_of_pure\n")


def test_arguments_that_mean_no_test_are_no_success(tree: Path) -> None:
    done = outcome(tree, "-k", "no such test", LISTED_pure=5, **NO_OTHERS)
    assert done.returncode == 5
    assert "no test is meant by: -k no such test" in done.stderr


def test_arguments_that_pytest_refuses_are_told(tree: Path) -> None:
    done = outcome(tree, "--no-such-option", LISTED_pure=4)
    assert done.returncode == 1
    assert "looking for pure tests: FAILED" in done.stdout
