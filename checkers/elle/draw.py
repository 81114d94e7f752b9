"""Pictures of cycles: one SVG each, written by hand, and a Graphviz file of a whole component.

A cycle's transactions stand around an ellipse, in the order of the proof; every arrow carries its
label, in a colour and a dash of its own, so that it can be told apart without colour too. The
picture holds the proof's text as its description, for those who cannot see it. Files are only
written into the directory that was asked for.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Final

import numpy as np

from checkers.elle.cycles import Cycle
from checkers.elle.explain import Explainer, cycle_anomaly, show_micro_operations
from checkers.elle.graph import LABELS, PROCESS, REALTIME, RW, WR, WW, Graph
from checkers.elle.inference import Inference
from checkers.elle.options import Options

COLOURS: Final = {
    WW: "#b3361d",
    WR: "#1d62b3",
    RW: "#7b3aa6",
    PROCESS: "#4d7c2f",
    REALTIME: "#8a6d1a",
}
DASHES: Final = {WW: "", WR: "8 3", RW: "2 3", PROCESS: "10 3 2 3", REALTIME: "14 5"}
MOST_PICTURES: Final = 50
LARGEST_DOT: Final = 2_000
"""Transactions of a component up to which all of it goes into a Graphviz file."""
_BOX: Final = (330, 46)
_TEXT_WIDTH: Final = 46


def draw_cycles(
    cycles: Sequence[Cycle], inference: Inference, explainer: Explainer, options: Options
) -> list[Path]:
    """``DIRECTORY/<type>/<number>.svg`` with a ``.dot`` beside each, and the paths written."""
    assert options.directory is not None
    numbers: Counter[str] = Counter()
    written = []
    for cycle in cycles[:MOST_PICTURES]:
        folder = options.directory / cycle.type
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{numbers[cycle.type]}.svg"
        numbers[cycle.type] += 1
        proof = cycle_anomaly(cycle, inference.reasons, explainer).message
        path.write_text(svg(cycle, explainer, proof), "utf-8")
        dot = path.with_suffix(".dot")
        dot.write_text(graphviz(cycle, inference.graph, explainer), "utf-8")
        written += [path, dot]
    return written


def svg(cycle: Cycle, explainer: Explainer, proof: str = "") -> str:
    """The cycle as a picture; ``proof`` becomes its description."""
    count = len(cycle.transactions)
    places, width, height = layout(count)
    arrows = [
        _arrow(places[n], places[(n + 1) % count], label, both_ways=count == 2)
        for n, label in enumerate(cycle.labels)
    ]
    boxes = [
        _box(n, places[n], explainer, transaction)
        for n, transaction in enumerate(cycle.transactions)
    ]
    heads = [
        f'<marker id="to-{LABELS[label]}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" '
        f'markerHeight="7" orient="auto"><path d="M0 0L10 5L0 10z" fill="{colour}"/></marker>'
        for label, colour in COLOURS.items()
        if label in cycle.labels
    ]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {width:.0f} '
            f'{height:.0f}" width="{width:.0f}" height="{height:.0f}" font-family="sans-serif">',
            f"<title>{escape(cycle.type)}: a cycle of {count} transactions</title>",
            f"<desc>{escape(proof)}</desc>",
            f"<defs>{''.join(heads)}</defs>",
            '<rect width="100%" height="100%" fill="#ffffff"/>',
            *arrows,
            *boxes,
            "</svg>\n",
        ]
    )


Point = tuple[float, float]


def layout(count: int) -> tuple[list[Point], float, float]:
    """Middles of so many boxes on an ellipse, clear of one another, with width and height."""
    step = 2 * math.pi / count
    down = max(130.0, count * _BOX[1] * 0.62)
    across = max(down, (_BOX[0] + 10) / math.sin(step)) if count > 2 else 0.0
    width, height = 2 * across + _BOX[0] + 140, 2 * down + _BOX[1] + 60
    places = [
        (
            width / 2 + across * math.sin(step * number),
            height / 2 - down * math.cos(step * number),
        )
        for number in range(count)
    ]
    return places, width, height


def _box(number: int, place: Point, explainer: Explainer, transaction: int) -> str:
    x, y = place[0] - _BOX[0] / 2, place[1] - _BOX[1] / 2
    found = explainer.transactions
    text = show_micro_operations(found.micro_operations(transaction))
    short = text if len(text) <= _TEXT_WIDTH else f"{text[: _TEXT_WIDTH - 1]}…"
    return (
        f"<g><title>{escape(text)}</title>"
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{_BOX[0]}" height="{_BOX[1]}" rx="6" '
        f'fill="#f6f6f3" stroke="#444444"/>'
        f'<text x="{place[0]:.1f}" y="{y + 18:.1f}" text-anchor="middle" font-size="13" '
        f'font-weight="bold">T{number + 1} (index {found.index(transaction)}, process '
        f"{int(found.process[transaction])})</text>"
        f'<text x="{place[0]:.1f}" y="{y + 36:.1f}" text-anchor="middle" font-size="11" '
        f'font-family="monospace">{escape(short)}</text></g>'
    )


def _arrow(start: Point, end: Point, label: int, *, both_ways: bool) -> str:
    """An arrow from border to border; of two between the same boxes each goes its own way."""
    (x1, y1), (x2, y2) = _border(start, end), _border(end, start)
    bend = 60.0 if both_ways else 24.0
    length = math.hypot(x2 - x1, y2 - y1) or 1.0
    over = (-(y2 - y1) / length * bend, (x2 - x1) / length * bend)
    middle = ((x1 + x2) / 2 + over[0], (y1 + y2) / 2 + over[1])
    word = ((x1 + x2) / 2 + over[0] * 0.75, (y1 + y2) / 2 + over[1] * 0.75 + 4)
    name, colour = LABELS[label], COLOURS[label]
    dash = f' stroke-dasharray="{DASHES[label]}"' if DASHES[label] else ""
    return (
        f'<path d="M{x1:.1f} {y1:.1f}Q{middle[0]:.1f} {middle[1]:.1f} {x2:.1f} {y2:.1f}" '
        f'fill="none" stroke="{colour}" stroke-width="2"{dash} marker-end="url(#to-{name})"/>'
        f'<text x="{word[0]:.1f}" y="{word[1]:.1f}" text-anchor="middle" font-size="13" '
        f'fill="{colour}" stroke="#ffffff" stroke-width="4" paint-order="stroke">{name}</text>'
    )


def _border(box: Point, towards: Point) -> Point:
    """Where the line from the middle of a box leaves it."""
    dx, dy = towards[0] - box[0], towards[1] - box[1]
    reach = min(
        (_BOX[0] / 2 + 2) / abs(dx) if dx else math.inf,
        (_BOX[1] / 2 + 2) / abs(dy) if dy else math.inf,
    )
    return box[0] + dx * reach, box[1] + dy * reach


def graphviz(cycle: Cycle, graph: Graph, explainer: Explainer) -> str:
    """The cycle and every data dependency between transactions near it, for Graphviz.

    Near are those that depend on one of the cycle, or it on them; they are left out where they
    are more than :data:`LARGEST_DOT`.
    """
    source, target, label = graph.edges(WW | WR | RW)
    mine = np.zeros(graph.nodes, dtype=bool)
    mine[list(cycle.transactions)] = True
    near = mine.copy()
    near[source[mine[target]]] = True
    near[target[mine[source]]] = True
    shown = near if int(near.sum()) <= LARGEST_DOT else mine
    inside = np.flatnonzero(shown[source] & shown[target])
    names = {transaction: f"T{n}" for n, transaction in enumerate(cycle.transactions, 1)}
    lines = ["digraph component {", "  node [shape=box, fontname=monospace];"]
    for transaction in np.flatnonzero(shown).tolist():
        text = show_micro_operations(explainer.transactions.micro_operations(transaction))
        name = names.get(transaction, f"index {explainer.transactions.index(transaction)}")
        bold = ", penwidth=2" if transaction in names else ""
        lines.append(f"  t{transaction} [label={_quoted(f'{name}: {text}')}{bold}];")
    edges = {(int(source[at]), int(target[at]), int(label[at])): "" for at in inside.tolist()} | {
        (a, cycle.transactions[(n + 1) % len(cycle.transactions)], cycle.labels[n]): ", penwidth=3"
        for n, a in enumerate(cycle.transactions)
    }
    lines += [
        f'  t{a} -> t{b} [label="{LABELS[kind]}", color="{COLOURS[kind]}"{bold}];'
        for (a, b, kind), bold in edges.items()
    ]
    return "\n".join([*lines, "}", ""])


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
