"""A name that two claim belongs to neither, unless one says that it replaces the other."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.plugins import Registry
from harness.run.preparation import prepare
from harness.run.scenario import resolve
from tests.harness.plugins.laid import Site, a_checker

OVERRIDES = "OVERRIDES = {'checkers': ['bank']}\n"
ENTRY = "[polygraph.checkers]\nbank = {name}:make\n"
MODULE = "def make(options):\n    return {name!r}\n"


def install(site: Site, name: str, more: str = "") -> None:
    """A distribution with a checker ``bank``."""
    site.install(name, MODULE.format(name=name) + more, ENTRY.format(name=name))


def test_a_file_may_not_take_a_name_of_ours(tmp_path: Path) -> None:
    path = a_checker(tmp_path / "mine.py", "bank")
    with pytest.raises(UsageError) as caught:
        Registry([path]).get("checkers", "lock")
    assert f"'bank' is claimed by what is built in and by {path}" in caught.value.message
    assert caught.value.hint is not None
    assert "OVERRIDES = {'checkers': ['bank']}" in caught.value.hint


def test_one_that_says_so_may(tmp_path: Path) -> None:
    path = a_checker(tmp_path / "mine.py", "bank", more=OVERRIDES)
    registry = Registry([path])
    assert registry.get("checkers", "bank")({}) == "mine"
    assert registry.found("checkers")["bank"].origin == str(path)
    assert registry.names("checkers").count("bank") == 1


@pytest.mark.parametrize("kinds", [("workloads",), ("nemeses", "systems")])
def test_saying_so_of_another_kind_is_not_enough(tmp_path: Path, kinds: tuple[str, ...]) -> None:
    tables = "".join(f"{kind.upper()} = CHECKERS\n" for kind in kinds)
    said = f"OVERRIDES = {{kind: ['bank'] for kind in {kinds!r}}}\n"
    path = a_checker(tmp_path / "mine.py", "bank", more=tables + said)
    with pytest.raises(UsageError, match="the checker 'bank' is claimed"):
        Registry([path]).names("checkers")


def test_two_files_may_not_have_one_name(tmp_path: Path) -> None:
    files = [a_checker(tmp_path / folder / "same.py", "new") for folder in ("one", "two")]
    with pytest.raises(UsageError, match=r"claimed by .*one/same\.py and by .*two/same\.py"):
        Registry(files).names("checkers")


@pytest.mark.parametrize("order", [1, -1])
def test_which_of_two_files_overrides_does_not_depend_on_their_order(
    tmp_path: Path, order: int
) -> None:
    files = [
        a_checker(tmp_path / "humble.py", "bank"),
        a_checker(tmp_path / "bold.py", "bank", more=OVERRIDES),
    ]
    assert Registry(files[::order]).get("checkers", "bank")({}) == "bold"


def test_two_files_that_both_override_are_refused(tmp_path: Path) -> None:
    files = [a_checker(tmp_path / name, "bank", more=OVERRIDES) for name in ("a.py", "b.py")]
    with pytest.raises(UsageError, match=r"built in and by .*a\.py and by .*b\.py"):
        Registry(files).names("checkers")


def test_two_names_of_one_file_are_no_quarrel(tmp_path: Path) -> None:
    path = a_checker(tmp_path / "one.py", "one", more="CHECKERS['other'] = make\n")
    assert {"one", "other"} <= set(Registry([path, path]).names("checkers"))


def test_what_is_installed_may_not_take_a_name_of_ours_and_breaks_no_other(site: Site) -> None:
    install(site, "greedy")
    registry = Registry()
    assert registry.get("checkers", "lock")
    with pytest.raises(UsageError, match="claimed by what is built in and by greedy"):
        registry.get("checkers", "bank")
    assert len(registry.errors) == 1


def test_a_run_that_would_be_judged_by_nobody_knows_whom_does_not_begin(site: Site) -> None:
    install(site, "greedy")
    registry = Registry()
    registry.refuse_unowned("checkers", ["lock", "no-such", "stats"])
    with pytest.raises(UsageError, match="claimed by what is built in and by greedy"):
        registry.refuse_unowned("checkers", ["lock", "bank"])
    with pytest.raises(UsageError, match="claimed by what is built in and by greedy"):
        prepare(resolve({"system": "etcd", "workload": "bank"}, registry), registry)


def test_what_is_installed_may_override(site: Site) -> None:
    install(site, "greedy", OVERRIDES)
    registry = Registry()
    assert registry.get("checkers", "bank")({}) == "greedy"
    assert registry.errors == []


def test_two_that_are_installed_may_not_have_one_name(site: Site) -> None:
    for name in ("lefty", "righty"):
        site.install(name, MODULE.format(name=name), f"[polygraph.checkers]\nnew = {name}:make\n")
    with pytest.raises(UsageError, match=r"'new' is claimed by (lefty|righty) and by"):
        Registry().get("checkers", "new")


def test_a_file_replaces_what_is_installed_and_not_the_other_way_round(
    site: Site, tmp_path: Path
) -> None:
    install(site, "greedy", OVERRIDES)
    humble = a_checker(tmp_path / "humble.py", "bank")
    with pytest.raises(UsageError, match=r"and by greedy and by .*humble\.py"):
        Registry([humble]).names("checkers")
    bold = a_checker(tmp_path / "bold.py", "bank", more=OVERRIDES)
    assert Registry([bold]).get("checkers", "bank")({}) == "bold"


def test_one_that_cannot_be_loaded_overrides_nothing(site: Site) -> None:
    install(site, "greedy", OVERRIDES + "raise ValueError\n")
    with pytest.raises(UsageError, match="claimed by what is built in and by greedy"):
        Registry().get("checkers", "bank")


def test_a_list_has_what_is_not_claimed_twice(tmp_path: Path) -> None:
    path = a_checker(tmp_path / "mine.py", "bank", more="CHECKERS['mine'] = make\n")
    registry = Registry([path], tolerant=True)
    usable = registry.usable("checkers")
    assert ("bank" in usable, "mine" in usable, "lock" in usable) == (False, True, True)
    assert registry.is_file_refused
    assert len(registry.errors) == 1
