"""The cells of a matrix, and the expressions that choose among them."""

from __future__ import annotations

import pytest

from harness.cli.soak import spread
from harness.errors import UsageError
from harness.soak.cells import axes_in, axes_of, chosen, product


def test_every_choice_is_a_cell_the_last_key_changes_fastest() -> None:
    axes = axes_of(["workload=bank,register nemesis=,kill+pause", "op-timeout=5"])
    cells = product(axes)
    assert [name for name, _ in cells] == [
        "workload=bank nemesis= op_timeout=5",
        "workload=bank nemesis=kill+pause op_timeout=5",
        "workload=register nemesis= op_timeout=5",
        "workload=register nemesis=kill+pause op_timeout=5",
    ]
    assert cells[1][1] == {"workload": "bank", "nemesis": "kill,pause", "op_timeout": "5"}


def test_a_table_in_a_file_is_a_matrix_too() -> None:
    axes = axes_in({"nodes": [3, 5], "nemesis": [["kill", "pause"], "kill"]}, "a.toml")
    assert [name for name, _ in product(axes)][:2] == [
        "nodes=3 nemesis=kill+pause", "nodes=3 nemesis=kill",
    ]  # fmt: skip
    for odd in ([1], {"nodes": 3}, {"nodes": []}):
        with pytest.raises(UsageError, match=r"a.toml: \[matrix\]"):
            axes_in(odd, "a.toml")


@pytest.mark.parametrize("words", [["workload"], ["=a"], ["a=1 a=2"]])
def test_what_is_no_key_with_values_is_refused(words: list[str]) -> None:
    with pytest.raises(UsageError, match="--matrix"):
        axes_of(words)


def test_a_matrix_without_end_is_refused() -> None:
    with pytest.raises(UsageError, match="1024 cells"):
        product({f"k{n}": [0, 1] for n in range(10)})


@pytest.mark.parametrize(
    ("expression", "means"),
    [
        ("bank", [True, True, False]),
        ("BANK and not kill", [True, False, False]),
        ("kill or register", [False, True, True]),
        ("not (kill or register)", [True, False, False]),
        ("not kill and bank or register", [True, False, True]),
        ("workload=bank", [True, True, False]),
    ],
)
def test_an_expression_chooses_as_in_pytest(expression: str, means: list[bool]) -> None:
    names = ["workload=bank nemesis=", "workload=bank nemesis=kill", "workload=register nemesis="]
    assert [chosen(expression)(name) for name in names] == means


@pytest.mark.parametrize("odd", ["", "and", "bank and", "(bank", "bank)", "not", "bank kill"])
def test_what_is_no_expression_is_refused(odd: str) -> None:
    with pytest.raises(UsageError, match="no expression"):
        chosen(odd)


def test_words_behind_matrix_belong_to_it() -> None:
    assert spread(["etcd", "--matrix", "a=1,2", "b=3", "--runs", "5", "x=1"]) == [
        "etcd", "--matrix", "a=1,2", "--matrix", "b=3", "--runs", "5", "x=1",
    ]  # fmt: skip
