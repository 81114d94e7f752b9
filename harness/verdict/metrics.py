"""The figures that a run sampled, as ``evidence/metrics.jsonl`` holds them: read as data.

A line is a sample; what belongs together (a node, a name, labels) is a :class:`Series`, in order of
time. The file may be anybody's: lines without this shape are passed over and counted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from harness.store.untrusted import Folder

FILE: Final = "evidence/metrics.jsonl"
MOST_BYTES: Final = 256 << 20
MOST_TEXT: Final = 200
"""Characters of a name or a label."""


class MetricLine(msgspec.Struct, frozen=True):
    """One line of ``evidence/metrics.jsonl``; ``time`` in nanoseconds on the history's clock."""

    time: int
    node: str
    name: str
    labels: dict[str, str]
    value: float
    life: int


@dataclass(frozen=True, kw_only=True)
class Series:
    """One figure of one node through the run: ``time`` in ns, ``value``, and ``life``."""

    node: str
    name: str
    labels: Mapping[str, str]
    time: NDArray[np.int64]
    value: NDArray[np.float64]
    life: NDArray[np.int64]

    @property
    def title(self) -> str:
        """``pending of n1 (to=n2)``."""
        told = ", ".join(f"{key}={value}" for key, value in self.labels.items())
        return f"{self.name} of {self.node}" + (f" ({told})" if told else "")

    def since(self, time_ns: int) -> Series:
        """The samples from then on."""
        return self._where(self.time >= time_ns)

    def before(self, time_ns: int) -> Series:
        """The samples before then."""
        return self._where(self.time < time_ns)

    def _where(self, mask: NDArray[np.bool_]) -> Series:
        return Series(
            node=self.node,
            name=self.name,
            labels=self.labels,
            time=self.time[mask],
            value=self.value[mask],
            life=self.life[mask],
        )

    def __len__(self) -> int:
        return len(self.time)


@dataclass(frozen=True)
class Metrics:
    """Every series of a run; ``odd`` lines could not be understood."""

    series: tuple[Series, ...]
    odd: int = 0


@dataclass
class _Growing:
    time: list[int] = field(default_factory=list)
    value: list[float] = field(default_factory=list)
    life: list[int] = field(default_factory=list)


def read_metrics(inside: Folder) -> Metrics | None:
    """What the run in this folder sampled; ``None`` without such a file. Raises ``OSError``."""
    try:
        data = inside.read(FILE, MOST_BYTES)
    except FileNotFoundError:
        return None
    return metrics_in(data)


def metrics_in(data: bytes) -> Metrics:
    """The series in the lines of such a file."""
    decoder = msgspec.json.Decoder(MetricLine)
    found: dict[tuple[str, str, tuple[tuple[str, str], ...]], _Growing] = {}
    odd = 0
    for line in data.splitlines():
        try:
            sample = decoder.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            odd += 1
            continue
        if not _is_sound(sample):
            odd += 1
            continue
        key = (sample.node, sample.name, tuple(sorted(sample.labels.items())))
        growing = found.setdefault(key, _Growing())
        growing.time.append(sample.time)
        growing.value.append(sample.value)
        growing.life.append(sample.life)
    series = (
        _series(node, name, dict(labels), each) for (node, name, labels), each in found.items()
    )
    return Metrics(tuple(series), odd)


def _is_sound(sample: MetricLine) -> bool:
    texts = (sample.node, sample.name, *sample.labels, *sample.labels.values())
    numbers = abs(sample.time) < 2**62 and abs(sample.life) < 2**62 and math.isfinite(sample.value)
    return numbers and all(len(text) <= MOST_TEXT for text in texts)


def _series(node: str, name: str, labels: dict[str, str], growing: _Growing) -> Series:
    time = np.array(growing.time, np.int64)
    order = np.argsort(time, kind="stable")
    return Series(
        node=node,
        name=name,
        labels=labels,
        time=time[order],
        value=np.array(growing.value, np.float64)[order],
        life=np.array(growing.life, np.int64)[order],
    )
