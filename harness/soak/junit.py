"""A soak as JUnit XML, the form that CI pages read: one suite a soak, one case a run.

A violation is a ``failure``. Unknown and infrastructure are ``error`` with their reason, because
a run that decided nothing must not look green; ``--junit-unknown skipped`` turns unknown (never
infrastructure) into ``skipped`` for those whose CI cannot do without a green light.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(
    summary: Mapping[str, Any], name: str, start_wall_ns: int, *, unknown: str = "error"
) -> bytes:
    """The XML of ``summary`` (see :mod:`harness.soak.summary`); ``unknown`` is error or skipped."""
    results = summary["results"]
    kinds = [kind_of(each, unknown) for each in results]
    attributes = {
        "name": name,
        "tests": str(len(results)),
        "failures": str(kinds.count("failure")),
        "errors": str(kinds.count("error")),
        "skipped": str(kinds.count("skipped")),
        "time": f"{sum(each['seconds'] for each in results):.3f}",
        "timestamp": datetime.fromtimestamp(start_wall_ns / 1e9, UTC).strftime("%Y-%m-%dT%H:%M:%S"),
    }
    suites = ElementTree.Element("testsuites")
    suite = ElementTree.SubElement(suites, "testsuite", attributes)
    properties = ElementTree.SubElement(suite, "properties")
    for key, value in (("seed", summary["seed"]), ("estimate", summary["sentence"])):
        ElementTree.SubElement(properties, "property", name=key, value=_text(value))
    for each, kind in zip(results, kinds, strict=True):
        _case(suite, name, each, kind)
    ElementTree.indent(suites)
    document: bytes = ElementTree.tostring(suites, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def kind_of(result: Mapping[str, Any], unknown: str) -> str:
    """``passed``, ``failure``, ``error`` or ``skipped``."""
    kinds = {"passed": "passed", "violation": "failure", "unknown": unknown}
    return kinds.get(result["outcome"], "error")


def _case(suite: ElementTree.Element, name: str, result: Mapping[str, Any], kind: str) -> None:
    cell = f"{result['cell']} " if result.get("cell") else ""
    case = ElementTree.SubElement(
        suite,
        "testcase",
        name=_text(f"{cell}run {result['number']} seed {result['seed']}"),
        classname=name,
        time=f"{result['seconds']:.3f}",
    )
    if kind != "passed":
        element = ElementTree.SubElement(case, kind, message=_text(result["why"]))
        if kind != "skipped":
            element.set("type", result["outcome"])
            settle = "".join(f"\nto settle it: {step}" for step in result["settle"])
            element.text = _text(f"{result['why']}\n{settle}\nrepeat: {result['reproduce']}")
    if result["run_dir"]:
        output = ElementTree.SubElement(case, "system-out")
        output.text = _text(f"run: {result['run_dir']}")


def _text(value: Any) -> str:
    """``value`` without the characters that XML 1.0 cannot hold."""
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", str(value))
