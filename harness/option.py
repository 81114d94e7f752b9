"""An option: everything that can be set of a run or a verb, declared once by what it belongs to.

From one declaration come the flag (``--time-limit``), the scenario key (``time_limit``), the twin
in the environment (``POLYGRAPH_TIME_LIMIT``), the help, the completion, and the check of what is
given, with its message. Plug-ins import it from :mod:`harness.contract.option`.

A *secret* (a password, a token) has no flag that takes its value: a command line can be read by
everybody on the machine. It comes from its twin in the environment or from a file that
``--NAME-file`` names, and is kept out of everything that is written (:mod:`harness.confidential`).
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from harness.errors import UsageError
from harness.quantities import SIZES, TIMES, seconds, size
from harness.wording import shown

ENVIRONMENT_PREFIX: Final = "POLYGRAPH"
MOST_SECRET_BYTES: Final = 16 << 10


class Duration:
    """The kind of an option whose value is a length of time: seconds, as a ``float``."""


class Milliseconds:
    """As :class:`Duration`, but a bare number counts milliseconds, as the tool that had it first.

    The value is milliseconds, as a ``float``.
    """


class Size:
    """The kind of an option whose value is a size: bytes, as an ``int``."""


@dataclass(frozen=True, kw_only=True)
class Option:
    """One option. ``name`` is the scenario key; ``help`` a clause that says what it sets.

    ``kind`` is ``bool``, ``str``, ``int``, ``float``, ``Path`` (made absolute, as text),
    :class:`Duration` or :class:`Size`. With ``many`` the value is a tuple of such; several are
    given with commas, or the flag several times. ``choices`` are the only values there are.
    ``least``, ``above`` (exclusive) and ``most`` bound numbers. ``bare`` is what the flag means
    where no value follows it. ``words`` are offered where a text is a list of known words with
    commas, which may have others, too: they are not checked here. ``advice`` is what to try where a
    value is refused. A ``default`` of ``None`` is no value at all.
    """

    name: str
    kind: type = str
    default: Any = None
    help: str = ""
    choices: Sequence[str] = ()
    many: bool = False
    least: float | None = None
    above: float | None = None
    most: float | None = None
    secret: bool = False
    bare: str | None = None
    words: Sequence[str] = ()
    advice: str = ""

    @property
    def flag(self) -> str:
        """``--time-limit``."""
        return "--" + self.name.replace("_", "-")

    @property
    def twin(self) -> str:
        """``POLYGRAPH_TIME_LIMIT``."""
        return f"{ENVIRONMENT_PREFIX}_{self.name.upper()}"

    @property
    def file(self) -> Option:
        """Of a secret: the option that names a file with it."""
        return replace(
            self,
            name=f"{self.name}_file",
            kind=Path,
            secret=False,
            help=f"a file with {self.help or 'it'} ({self.twin} holds it itself)",
        )

    def value(self, given: Any, said: str = "") -> Any:
        """What ``given`` (of a flag, a file, the environment) is as this option's value.

        ``UsageError`` says what was expected; ``said`` is what it is called (its flag).
        """
        if given is None:
            return None
        if not self.many:
            return self._one(given, said or self.flag)
        parts = given.split(",") if isinstance(given, str) else given
        if isinstance(parts, str) or not isinstance(parts, Sequence):
            raise self._refused(given, "a list of names", said or self.flag)
        words = [part.strip() if isinstance(part, str) else part for part in parts]
        return tuple(self._one(word, said or self.flag) for word in words if word != "")

    def _one(self, given: Any, said: str) -> Any:
        convert, expected = _KINDS.get(self.kind, (self.kind, "of the right kind"))
        try:
            value = convert(given)
        except (TypeError, ValueError, OverflowError) as error:
            raise self._refused(given, expected, said) from error
        if self.choices and value not in self.choices:
            near = difflib.get_close_matches(str(value), list(self.choices), n=2, cutoff=0.5)
            guess = f"; did you mean {' or '.join(near)}?" if near else ""
            known = f"one of {', '.join(self.choices)}"
            raise UsageError(f"{said} {shown(value)} is not {known}{guess}", self.advice or None)
        self._refuse_out_of_bounds(value, said)
        return value

    def _refuse_out_of_bounds(self, value: Any, said: str) -> None:
        if self.above is not None and not value > self.above:  # so that nan is refused
            bound = "zero" if self.above == 0 else f"{self.above:g}"
            raise UsageError(f"{said} must be above {bound}, not {value:g}", self.advice or None)
        if self.least is not None and not value >= self.least:
            raise UsageError(f"{said} must be {self._range()}, not {value:g}", self.advice or None)
        if self.most is not None and not value <= self.most:
            raise UsageError(f"{said} must be {self._range()}, not {value:g}", self.advice or None)

    def _range(self) -> str:
        if self.most is None:
            return f"at least {self.least:g}"
        if self.least is None:
            return f"at most {self.most:g}"
        return f"between {self.least:g} and {self.most:g}"

    def _refused(self, given: Any, expected: str, said: str) -> UsageError:
        advice = self.advice or _ADVICE.get(self.kind)
        return UsageError(f"{said} {shown(given)} is not {expected}", advice)


def with_files(options: Sequence[Option]) -> list[Option]:
    """The options as flags and scenario keys: a secret stands there as the file that holds it."""
    return [option.file if option.secret else option for option in options]


def defaults_of(factory: Any) -> dict[str, Any]:
    """What a run gives to ``factory`` (of a system, workload, fault) where nobody says anything."""
    return {
        option.name: option.value(option.default)
        for option in getattr(factory, "options", ())
        if not option.secret
    }


def boolean(value: Any) -> bool:
    """``value`` as true or false, also by a word for it; ``ValueError`` if it is neither."""
    if isinstance(value, bool):
        return value
    known = {"true": True, "1": True, "yes": True, "on": True}
    known |= {"false": False, "0": False, "no": False, "off": False}
    return known[str(value).lower()] if str(value).lower() in known else bool(whole_number(value))


def whole_number(value: Any) -> int:
    """``value`` as a whole number; ``ValueError`` if it is none."""
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise ValueError(value)
    return int(value)


def _number(value: Any) -> float:
    number = float(value)
    if isinstance(value, bool) or not math.isfinite(number):
        raise ValueError(value)
    return number


def _text(value: Any) -> str:
    if not isinstance(value, str | int | float | Path) or isinstance(value, bool):
        raise ValueError(value)
    return str(value)


def _absolute(value: Any) -> str:
    """A path as it stays true in another working directory, where the run is repeated."""
    return str(Path(value).resolve())


_KINDS: Final[Mapping[type, tuple[Callable[[Any], Any], str]]] = {
    bool: (boolean, "true or false"),
    int: (whole_number, "a whole number"),
    float: (_number, "a number"),
    str: (_text, "a text"),
    Path: (_absolute, "a path"),
    Duration: (seconds, "a length of time"),
    Milliseconds: (lambda value: seconds(value, 1e-3) * 1e3, "a length of time"),
    Size: (size, "a size"),
}
_ADVICE: Final[Mapping[type, str]] = {Duration: TIMES, Milliseconds: TIMES, Size: SIZES}
