"""The table of verbs: their modules, their one-line help, and what stands over them.

A module of a verb has a ``VERB``: a :class:`click.Command` whose callback returns an exit code.
"""

from __future__ import annotations

from collections.abc import Mapping

from harness.option import ENVIRONMENT_PREFIX

VERBS: Mapping[str, tuple[str, str]] = {
    "init": ("harness.cli.init", "A folder to begin with, for a system of your own."),
    "test": ("harness.cli.test", "Run a workload on a system under faults, and judge it."),
    "soak": ("harness.cli.soak", "The same test many times: how often it fails, how sure."),
    "compare": ("harness.cli.compare", "Is the fix real? Runs of A and B in turn, tested."),
    "replay": ("harness.cli.replay", "A run's fault schedule again: how often it fails again."),
    "shrink": ("harness.cli.shrink", "The smallest fault schedule that still fails, as a file."),
    "worker": ("harness.cli.worker", "Make runs for the soaks of a scheduler."),
    "record": ("harness.cli.record", "Reproduce published findings, each with its control."),
    "check": ("harness.cli.check", "Judge recorded histories or runs again; needs no cluster."),
    "report": ("harness.cli.report", "Write a run's report.html again and say where it is."),
    "trace": ("harness.cli.trace", "The spans of an operation, and of others with its keys."),
    "serve": ("harness.cli.serve", "The store in a browser: filter, open, follow, download."),
    "export": ("harness.cli.export", "Write a run's history for Elle, elle-cli or Knossos."),
    "convert": ("harness.cli.convert", "A history from any notation into any that can say it."),
    "list": ("harness.cli.list", "What can be named, with a line on each; what runs on what."),
    "explain": ("harness.cli.explain", "What an anomaly or a consistency model means."),
    "validate": ("harness.cli.validate", "Would this scenario run? Nothing is started."),
    "conform": ("harness.cli.conform", "Does a client repeat requests, or say what is not so?"),
    "doctor": ("harness.cli.doctor", "What this machine can do, what not, and why."),
    "heal": ("harness.cli.heal", "Undo every fault and end everything that dead runs left."),
    "help": ("harness.cli.help", "What a verb does and every flag that it has."),
    "completion": ("harness.cli.completion", "Completion for bash, zsh or fish."),
    "down": ("harness.cli.down", "End the cluster that a run left running."),
}

HELP_OPTIONS = ("-h", "--help")


def group_help() -> str:
    """The text over the list of verbs."""
    return (
        "Test whether a database keeps its promises while things go wrong.\n\n"
        "Exit codes: 0 valid, 1 invalid, 2 unknown, 3 set-up or infrastructure trouble, "
        "4 usage, 130 interrupted. Every flag has a twin in the environment: --store is "
        f"{ENVIRONMENT_PREFIX}_STORE."
    )
