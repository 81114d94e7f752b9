"""The page as a file: self-contained, safe with hostile text, and made whatever is missing."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from harness.errors import UsageError
from harness.report import render

REFERENCES = ("src", "href", "srcset", "action", "data", "poster", "xlink:href", "formaction")
HOSTILE = "</script><img src=x onerror=alert(1)>\u2028\u2029\x1b[31mred\u202eevil<!--"


class Page(HTMLParser):
    """Tags, attributes and visible text of a page, as a browser would split them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.scripts: dict[str, str] = {}
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self._inside = dict(attrs).get("id") or tag

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.scripts[self._inside] = self.scripts.get(self._inside, "") + data
        else:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all_ids(self) -> list[str]:
        return [value for _, attributes in self.tags if (value := attributes.get("id"))]


def page_of(folder: Path) -> Page:
    return Page((folder / "report.html").read_text(encoding="utf-8"))


def op(index: int, process: Any, type: str, f: str, value: Any, **rest: Any) -> dict[str, Any]:
    record = {"index": index, "time": index * 1_000_000, "process": process, "type": type}
    return {**record, "f": f, "value": value, **rest}


@pytest.mark.slow
def test_nothing_in_the_page_leads_out_of_it(invalid_run: Path) -> None:
    page = page_of(invalid_run)
    places = [
        value
        for _, attributes in page.tags
        for name in REFERENCES
        if (value := attributes.get(name)) is not None
    ]
    assert places
    assert [place for place in places if not place.startswith(("#", "data:"))] == []
    style = page.scripts["style"] + " ".join(a.get("style") or "" for _, a in page.tags)
    assert "@import" not in style
    assert re.findall(r"url\((?!['\"]?(?:#|data:))[^)]*\)", style) == []
    assert {tag for tag, _ in page.tags} & {"link", "iframe", "object", "embed", "base"} == set()


@pytest.mark.slow
def test_every_inner_link_has_its_target_or_names_an_operation(invalid_run: Path) -> None:
    page = page_of(invalid_run)
    ids = set(page.all_ids())
    links = {a["href"] for _, a in page.tags if (a.get("href") or "").startswith("#")}
    dangling = {link for link in links if link and link[1:] not in ids}
    assert all(re.fullmatch(r"#op-\d+", link) for link in dangling)
    assert len(page.all_ids()) == len(ids)


def test_the_browser_is_forbidden_to_load_or_run_anything_else(invalid_run: Path) -> None:
    page = page_of(invalid_run)
    policies = [a["content"] for _, a in page.tags if a.get("http-equiv")]
    assert len(policies) == 1
    assert "default-src 'none'" in (policies[0] or "")
    assert re.search(r"script-src 'sha256-[A-Za-z0-9+/=]{44}'", policies[0] or "")


def test_the_head_of_the_page_says_verdict_why_claims_and_how_to_repeat(invalid_run: Path) -> None:
    text = page_of(invalid_run).text
    assert "invalid" in text
    assert "had been overwritten before the read began" in text
    assert "strict-serializable" in text
    assert "polygraph test etcd --workload register" in text
    assert "--seed 7" in text


def test_an_anomaly_shows_its_proof_its_witness_and_the_fault_in_force(invalid_run: Path) -> None:
    verdict = json.loads((invalid_run / "verdict.json").read_text())
    case = verdict["checkers"]["linearizable"]["anomalies"]["stale-read"][0]
    page = page_of(invalid_run)
    assert " ".join(case["message"].split()).split(" Let:")[0] in page.text
    assert "A read was answered with an older value" in page.text
    assert "polygraph explain stale-read" in page.text
    links = [a.get("href") for tag, a in page.tags if tag == "a"]
    for index in case["witness"]:
        assert f"#op-{index}" in links
    assert "Faults in force partition (minority)" in page.text


@pytest.mark.slow
@pytest.mark.parametrize(
    ("valid", "word"),
    [(True, "valid"), (False, "invalid"), ("unknown", "unknown"), ("odd", "unknown")],
)
def test_each_verdict_has_its_word_and_its_shape(
    make_run: Callable[..., Path], valid: Any, word: str
) -> None:
    folder = make_run(count=30)
    (folder / "verdict.json").write_text(json.dumps({"valid": valid, "why": "because"}))
    render(folder)
    page = page_of(folder)
    heading = [a for tag, a in page.tags if a.get("id") == "verdict"]
    assert heading[0]["class"] == f"hero is-{word}"
    assert [a for tag, a in page.tags if tag == "use"][1]["href"] == f"#shape-{word}"
    assert word in page.text


@pytest.mark.slow
def test_what_a_checker_left_open_says_what_would_settle_it_and_nothing_is_said_twice(
    make_run: Callable[..., Path],
) -> None:
    folder = make_run(count=30)
    issue = {"check": "few-ok", "level": "unknown", "message": "3 reads", "settle": "run longer"}
    steps = [
        {"about": "3 reads", "do": "run longer"},
        {"about": "out of budget (bank)", "do": "search <b>longer</b>"},
        "odd",
        {"do": 7},
    ]
    verdict = {"valid": "unknown", "health": [issue], "settle": steps}
    (folder / "verdict.json").write_text(json.dumps(verdict))
    render(folder)
    text = page_of(folder).text
    assert text.count("To settle it: run longer") == 1
    assert "out of budget (bank)" in text
    assert "To settle it: search <b>longer</b>" in text


@pytest.mark.slow
def test_health_issues_say_what_would_settle_them(make_run: Callable[..., Path]) -> None:
    folder = make_run(count=30)
    issue = {"check": "few-ok", "level": "unknown", "message": "3 reads", "settle": "run longer"}
    (folder / "verdict.json").write_text(json.dumps({"valid": "unknown", "health": [issue, "odd"]}))
    render(folder)
    text = page_of(folder).text
    for words in (
        "few-ok",
        "3 reads",
        "To settle it: run longer",
        "odd",
    ):
        assert words in text


def test_an_empty_folder_gives_a_page_that_says_what_is_missing(tmp_path: Path) -> None:
    page_path = render(tmp_path)
    assert page_path == tmp_path / "report.html"
    text = page_of(tmp_path).text
    assert "There is no verdict in this folder" in text
    assert "no history in this folder" in text
    assert "holds no node logs" in text


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a run folder"):
        render(tmp_path / "nowhere")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("verdict.json", "{", "verdict.json could not be read"),
        ("verdict.json", "[1]", "a JSON object was expected"),
        ("scenario.toml", "= 3", "scenario.toml could not be read"),
        ("faults.jsonl", "nonsense\n\n", "faults.jsonl could not be read: line 1"),
        ("evidence/run.json", "null", "run.json could not be read"),
    ],
)
def test_a_part_that_cannot_be_read_is_named_and_the_rest_is_shown(
    make_run: Callable[..., Path],
    write_part: Callable[[Path, str], None],
    name: str,
    content: str,
    said: str,
) -> None:
    folder = make_run(count=60)
    write_part(folder / name, content)
    render(folder)
    page = page_of(folder)
    assert said in page.text
    assert len(json.loads(page.scripts["timeline-data"])["took"]) == 60


@pytest.mark.slow
@pytest.mark.parametrize(
    "verdict",
    [
        {"valid": False, "checkers": {"c": {"anomalies": {"G1a": "a string"}}}},
        {"valid": False, "checkers": {"c": {"anomalies": {"G1a": [None, 3, {"witness": "no"}]}}}},
        {
            "valid": False,
            "checkers": {"c": {"anomalies": {"G1a": [{"witness": [True, -5, 10**9]}]}}},
        },
        {
            "valid": True,
            "checkers": {"c": None},
            "health": {"a": 1},
            "claims": "one",
            "faults": [1],
        },
        {"valid": True, "checkers": [], "operations": 3, "why": {"not": "words"}},
    ],
)
def test_a_verdict_of_odd_shape_is_shown_as_far_as_it_goes(
    make_run: Callable[..., Path], verdict: dict[str, Any]
) -> None:
    folder = make_run(count=40)
    (folder / "verdict.json").write_text(json.dumps(verdict))
    render(folder)
    text = page_of(folder).text
    assert ("G1a" in text) == ("G1a" in json.dumps(verdict))


@pytest.mark.slow
def test_a_killed_run_is_shown_up_to_its_torn_last_line(make_run: Callable[..., Path]) -> None:
    folder = make_run(count=50, sealed=False)
    history = folder / "history.jsonl"
    history.write_bytes(history.read_bytes()[:-20])
    for name in ("verdict.json", "faults.jsonl", "evidence/run.json"):
        (folder / name).unlink()
    render(folder)
    page = page_of(folder)
    assert "unjudged" in page.text
    assert "Notices" in page.text
    assert len(json.loads(page.scripts["timeline-data"])["took"]) == 50


@pytest.mark.slow
def test_hostile_text_stays_text_everywhere(
    write_history: Callable[..., Path], write_part: Callable[[Path, str], None]
) -> None:
    records = [
        op(0, 0, "invoke", HOSTILE, [HOSTILE, HOSTILE], node=HOSTILE),
        op(1, 0, "info", HOSTILE, [HOSTILE, {HOSTILE: HOSTILE}], error=HOSTILE, node=HOSTILE),
    ]
    header = {"independent": True, "system": HOSTILE, "workload": HOSTILE, "start_wall_ns": 0}
    folder = write_history(records, header)
    case = {"message": HOSTILE, "witness": [0], "key": HOSTILE, "data": {HOSTILE: HOSTILE}}
    anomalies = {HOSTILE: [case]}
    checker = {"valid": False, "why": HOSTILE, "anomalies": anomalies, "not": [HOSTILE]}
    issue = {"check": HOSTILE, "level": HOSTILE, "message": HOSTILE, "settle": HOSTILE}
    verdict = {
        "valid": False, "why": HOSTILE, "claims": [HOSTILE], "reproduce": HOSTILE,
        "health": [issue], "faults": {HOSTILE: {"injected": HOSTILE}},
        "checkers": {HOSTILE: checker},
    }  # fmt: skip
    entry = {
        "id": 1, "fault": HOSTILE, "targets": [HOSTILE], "event": "intend", "time": 0,
        "detail": {"shape": HOSTILE, "what": HOSTILE},
    }  # fmt: skip
    write_part(folder / "verdict.json", json.dumps(verdict))
    write_part(folder / "faults.jsonl", json.dumps(entry) + "\n")
    write_part(folder / "scenario.toml", f"nemesis = {json.dumps(HOSTILE)}\n")
    write_part(folder / "evidence" / "run.json", json.dumps({"exits": [{"node": HOSTILE}]}))
    write_part(folder / "nodes" / "n1" / "db.log", f"panic: {HOSTILE}\n")
    render(folder)
    text = (folder / "report.html").read_text(encoding="utf-8")
    for raw in ("\u2028", "\u2029", "\x1b", "\u202e", "<img src=x", "onerror=alert(1)>\u2028"):
        assert raw not in text
    page = Page(text)
    assert [tag for tag, _ in page.tags if tag in ("img", "script")] == ["script"] * 3
    assert [a for _, a in page.tags if any(name.startswith("on") for name in a)] == []
    assert "\u27e6U+202E\u27e7evil" in page.text
    data = json.loads(page.scripts["timeline-data"])
    assert any("</script><img" in words for words in data["texts"])


@pytest.mark.slow
def test_a_value_of_a_megabyte_is_cut_and_the_cut_is_said(
    write_history: Callable[..., Path],
) -> None:
    huge = "x" * 1_000_000
    records = [op(0, 0, "invoke", "write", huge), op(1, 0, "ok", "write", huge, error=[huge])]
    folder = write_history(records)
    render(folder)
    page = page_of(folder)
    assert (folder / "report.html").stat().st_size < 400_000
    texts = json.loads(page.scripts["timeline-data"])["texts"]
    assert any("(cut, 1,000,000 characters in all)" in words for words in texts)


@pytest.mark.slow
def test_an_imported_history_without_ledger_shows_the_faults_of_its_nemesis(
    write_history: Callable[..., Path],
) -> None:
    records = [
        op(0, "nemesis", "info", "start-partition", None),
        op(1, "nemesis", "info", "start-partition", ["n1"]),
        op(2, 0, "invoke", "read", None),
        op(3, 0, "ok", "read", 1),
        op(4, "nemesis", "info", "stop-partition", None),
        op(5, "nemesis", "info", "stop-partition", None),
    ]
    folder = write_history(records)
    render(folder)
    page = page_of(folder)
    assert "without proof that they bit" in page.text
    bands = json.loads(page.scripts["timeline-data"])["bands"]
    assert [(band["start"], band["end"]) for band in bands] == [(0, 5000)]


@pytest.mark.slow
def test_many_anomalies_are_drawn_up_to_a_limit_and_the_rest_is_listed(
    make_run: Callable[..., Path],
) -> None:
    folder = make_run(count=60)
    cases = [{"message": f"proof {n}", "witness": [n % 50]} for n in range(300)]
    anomalies = {"G1a": cases, "G2-item": [{"message": "the only one", "witness": [3]}]}
    verdict = {"valid": False, "checkers": {"elle": {"valid": False, "anomalies": anomalies}}}
    (folder / "verdict.json").write_text(json.dumps(verdict))
    render(folder)
    page = page_of(folder)
    articles = [a["id"] for tag, a in page.tags if tag == "article"]
    assert articles == ["anomaly-1", "anomaly-2"], "one case of each type"
    assert "the only one" in page.text
    folded = [a for tag, a in page.tags if tag == "details" and a.get("class") == "case"]
    assert len(folded) == 38
    assert "198 more of G1a" in page.text
    assert "160 in brief" in page.text
    assert "101 more anomalies stand in verdict.json" in page.text


@pytest.mark.slow
def test_a_witness_is_listed_in_the_order_in_which_it_was_invoked(
    make_run: Callable[..., Path],
) -> None:
    folder = make_run(count=60)
    anomalies = {"G1a": [{"message": "m", "witness": [40, 2, 21]}]}
    verdict = {"valid": False, "checkers": {"c": {"valid": False, "anomalies": anomalies}}}
    (folder / "verdict.json").write_text(json.dumps(verdict))
    render(folder)
    links = [a["href"] or "" for tag, a in page_of(folder).tags if tag == "a" and "class" not in a]
    listed = [int(link[4:]) for link in links if link.startswith("#op-")]
    assert len(listed) == 3
    assert listed == sorted(listed)


def test_plots_are_written_beside_the_page_and_stand_in_it(invalid_run: Path) -> None:
    names = sorted(path.name for path in (invalid_run / "plots").iterdir())
    assert names == ["latency-quantiles.png", "latency-raw.png", "rate.png"]
    assert all(path.stat().st_size > 5_000 for path in (invalid_run / "plots").iterdir())
    assert any(name.startswith("latency-raw-") for name in page_of(invalid_run).all_ids())


def test_without_pillow_the_page_has_its_plots_and_says_how_to_get_files(
    make_run: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    folder = make_run(count=30)
    render(folder)
    assert "polygraph-db[plots]" in page_of(folder).text
    assert any(name.startswith("latency-raw-") for name in page_of(folder).all_ids())
    assert not list(folder.glob("plots/*"))


@pytest.mark.slow
def test_rendering_twice_gives_the_same_page(make_run: Callable[..., Path]) -> None:
    folder = make_run(count=80)
    first = render(folder).read_bytes()
    assert render(folder).read_bytes() == first
