"""Values as people are told them."""

from __future__ import annotations

from harness.history.values import Members, Tagged, told


def test_people_are_told_one_notation_of_values_half_of_which_only_edn_can_say() -> None:
    x = Tagged(":x")
    value = [["read", x, None], ["w", 1, {"a": x}]]
    assert told(value) == '[["read", :x, null], ["w", 1, {"a": :x}]]'
    assert told([1, "ä"], ensure_ascii=False) == '[1, "ä"]'
    assert told(Members([2, 1])) == "#{1 2}"
