"""A drawing as SVG to stand in a page: no address, ids of its own, colours of the page.

Text stays text. Marks, of which there may be any number, are one picture: pixels in their fixed
colours, which are legible on light and dark.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence

from harness.report.drawing import Box, Drawing, Marks, Path, Words
from harness.report.marks import painted, png_of

_PIXELS_A_POINT = 150 / 72


def svg_of(drawing: Drawing, slug: str) -> str:
    """The drawing; ``slug`` begins its ids."""
    size = f"{drawing.width:g} {drawing.height:g}"
    parts = [f'<svg viewBox="0 0 {size}"><g id="{slug}-shapes">']
    parts += [_shape(shape) for shape in drawing.shapes]
    parts.append("</g>")
    if drawing.marks:
        parts.append(_marks(drawing.marks, slug))
    return "".join((*parts, "</svg>"))


def _shape(shape: Box | Path | Words) -> str:
    if isinstance(shape, Box):
        return (
            f'<rect x="{shape.x:.2f}" y="{shape.y:.2f}" width="{shape.width:.2f}" '
            f'height="{shape.height:.2f}" fill="var(--{shape.colour})" '
            f'fill-opacity="{shape.alpha:g}"/>'
        )
    if isinstance(shape, Words):
        return _words(shape)
    return _path(shape)


def _words(words: Words) -> str:
    turned = f' transform="rotate(-90 {words.x:.2f} {words.y:.2f})"' if words.upright else ""
    return (
        f'<text x="{words.x:.2f}" y="{words.y:.2f}" fill="var(--{words.colour})" '
        f'font-size="{words.size:g}" text-anchor="{words.anchor}"{turned}>'
        f"{html.escape(words.text)}</text>"
    )


def _path(path: Path) -> str:
    dash = f' stroke-dasharray="{" ".join(f"{each:g}" for each in path.dash)}"' if path.dash else ""
    line = " ".join(f"{x:.2f},{y:.2f}" for x, y in path.places)
    dots = [
        f'<circle cx="{x:.2f}" cy="{y:.2f}" r="{path.dots:g}" fill="var(--{path.colour})"/>'
        for x, y in (path.places if path.dots else ())
    ]
    return "".join(
        (
            f'<polyline points="{line}" fill="none" stroke="var(--{path.colour})" '
            f'stroke-width="{path.width:g}" stroke-opacity="{path.alpha:g}"{dash}/>',
            *dots,
        )
    )


def _marks(marks: Sequence[Marks], slug: str) -> str:
    """One picture of all of them, no larger than the part where they are."""
    spare = 3.0  # marks have a size
    left = min(float(each.x.min()) for each in marks) - spare
    top = min(float(each.y.min()) for each in marks) - spare
    width = max(float(each.x.max()) for each in marks) + spare - left
    height = max(float(each.y.max()) for each in marks) + spare - top
    drawn = png_of(painted(marks, (left, top), (width, height), _PIXELS_A_POINT))
    return (
        f'<image id="{slug}-marks" x="{left:.2f}" y="{top:.2f}" width="{width:.2f}" '
        f'height="{height:.2f}" preserveAspectRatio="none" '
        f'href="data:image/png;base64,{base64.b64encode(drawn).decode()}"/>'
    )
