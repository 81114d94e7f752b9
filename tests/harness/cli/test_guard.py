"""No plug-in ends a command line in a code of its own, and signals come through once."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from harness.cli.guard import may_load_plugins

pytestmark = pytest.mark.slow


ROOT = Path(__file__).parents[3]
PATIENCE_S = 250.0
WHEN = {
    "while it is loaded": "import os\nos._exit(0)\n",
    "when it is asked": "import os\nSYSTEMS = {'rude': lambda options: os._exit(0)}\n",
    "from a thread": "import os, threading\nthreading.Timer(0, os._exit, [0]).start()\n"
    "threading.Event().wait()\n",
}


@pytest.mark.parametrize(
    "argv",
    [
        ("test", "rude", "--time-limit", "1"),
        ("soak", "rude", "--runs", "1"),
        ("list", "--matrix"),
        ("validate", "scenario.toml"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("when", WHEN)
def test_a_plugin_that_leaves_ends_in_3(
    polygraph: Any, tmp_path: Path, argv: tuple[str, ...], when: str
) -> None:
    (tmp_path / "rude.py").write_text(WHEN[when], "utf-8")
    (tmp_path / "scenario.toml").write_text('system = "rude"\nplugin = ["rude.py"]\n')
    done = polygraph(*argv, "--plugin", "rude.py")
    assert (done.returncode, done.stdout) == (3, ""), done.stderr
    assert "a plug-in ended the command with exit code 0: there is no verdict" in done.stderr


def script(body: str) -> list[str]:
    """A program that does ``body``, the body of ``work``, under guard."""
    lines = "\n".join(f"    {line}" for line in body.strip().splitlines())
    return [
        sys.executable,
        "-c",
        "import atexit, os, signal, sys, time\nfrom harness.cli.guard import guarded\n"
        f"def work():\n{lines}\nsys.exit(guarded(work))",
    ]


def ended(body: str) -> int:
    return subprocess.run(script(body), cwd=ROOT, timeout=PATIENCE_S, check=False).returncode


@pytest.mark.parametrize("code", [0, 1, 2, 3, 4, 130])
def test_a_code_that_was_come_to_is_passed_on(code: int) -> None:
    assert ended(f"return {code}") == code


def test_a_code_that_is_changed_at_the_very_end_is_none() -> None:
    assert ended("atexit.register(os._exit, 0)\nreturn 1") == 3


def test_the_end_by_a_signal_is_passed_on() -> None:
    assert ended("os.kill(os.getpid(), signal.SIGTERM)\ntime.sleep(600)") == -signal.SIGTERM
    assert ended("os.kill(os.getpid(), signal.SIGKILL)\ntime.sleep(600)") == -signal.SIGKILL


COUNT = """
heard = []
signal.signal(signal.SIGINT, lambda *_: heard.append(1))
print(os.getpid(), flush=True)
while not heard:
    time.sleep(0.01)
time.sleep(0.3)  # time for a second one
return 40 + len(heard)
"""


@pytest.mark.parametrize("whom", ["the process", "its group, as a terminal does"])
def test_ctrl_c_comes_through_once(whom: str) -> None:
    process = subprocess.Popen(
        script(COUNT), cwd=ROOT, stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    kill = os.kill if whom == "the process" else os.killpg
    kill(process.pid, signal.SIGINT)
    process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 41


def test_a_hang_up_that_is_ignored_stays_ignored() -> None:
    process = subprocess.Popen(
        ["sh", "-c", "trap '' HUP; exec \"$@\"", "sh", *script(COUNT)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 41


def test_whoever_kills_the_command_kills_its_child_too() -> None:
    process = subprocess.Popen(script(COUNT), cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout is not None
    pidfd = os.pidfd_open(int(process.stdout.readline()))
    process.kill()
    process.communicate()
    assert select.select([pidfd], [], [], PATIENCE_S)[0]
    os.close(pidfd)


def test_stopping_the_command_stops_its_child_until_it_goes_on() -> None:
    process = subprocess.Popen(
        script(COUNT), cwd=ROOT, stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout is not None
    child = int(process.stdout.readline())
    process.send_signal(signal.SIGTSTP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
    while Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0] != "T":
        time.sleep(0.01)  # it stops as soon as it runs; the test's time limit ends a hang
    process.send_signal(signal.SIGCONT)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 41


@pytest.mark.parametrize(
    ("argv", "environment", "may"),
    [
        (["--help"], {}, False),
        (["test", "etcd"], {}, False),
        (["serve"], {"POLYGRAPH_PLUGIN": "x.py"}, False),
        (["test", "etcd", "--plugin", "x.py"], {}, True),
        (["--traceback", "test", "etcd", "--plugin=x.py"], {}, True),
        (["soak", "--scenario", "x.toml"], {}, True),
        (["test", "etcd"], {"POLYGRAPH_PLUGIN": "x.py"}, True),
        (["validate", "x.toml"], {}, True),
    ],
)
def test_only_where_plugins_may_be_loaded_is_there_a_child(
    argv: list[str], environment: dict[str, str], may: bool
) -> None:
    assert may_load_plugins(argv, environment) is may
