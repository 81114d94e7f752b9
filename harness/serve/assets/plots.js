// Draws numbers over time as SVG, with the faults in force behind them. Knows nothing of runs.
"use strict";

const HEIGHT = 190;
const EDGE = { left: 54, right: 14, top: 20, bottom: 26 };

function svg(name, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// Round steps from 0 (or, logarithmic, powers of ten) that divide the scale into a few parts.
function stepsOf(most, wanted) {
  const raw = most / wanted;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].find((each) => each * power >= raw) * power;
  return Array.from({ length: Math.floor(most / step + 1e-9) + 1 }, (_, at) => at * step);
}

function linear(most) {
  const top = most > 0 ? most * 1.08 : 1;
  return { at: (value) => value / top, steps: stepsOf(top, 4) };
}

function logarithmic(least, most) {
  const low = Math.floor(Math.log10(least || 1));
  const high = Math.max(low + 1, Math.ceil(Math.log10(most || 10)));
  const steps = Array.from({ length: high - low + 1 }, (_, at) => 10 ** (low + at));
  return { at: (value) => (Math.log10(value) - low) / (high - low), steps };
}

function short(value) {
  return value >= 10000 ? value / 1000 + "k" : String(Number(value.toPrecision(3)));
}

// lines: [{kind, values}], one value for each bucket of width_s, null where there is none.
class Plot {
  constructor(box, unit) {
    this.box = box;
    this.unit = unit;
  }

  draw(width_s, lines, bands, mark, scale) {
    const width = Math.max(280, this.box.clientWidth);
    const count = Math.max(...lines.map((line) => line.values.length), 1);
    const end = count * width_s;
    this.x = (time) => EDGE.left + (Math.min(time, end) / end) * (width - EDGE.left - EDGE.right);
    this.y = (value) => HEIGHT - EDGE.bottom - scale.at(value) * (HEIGHT - EDGE.top - EDGE.bottom);
    this.timeAt = (x) => ((x - EDGE.left) / (width - EDGE.left - EDGE.right)) * end;
    const picture = svg("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, "aria-hidden": "true" });
    for (const band of bands) picture.append(...this.band(band, end));
    picture.append(...this.axes(end, scale, width));
    for (const line of lines) picture.append(...this.line(line, width_s));
    if (mark !== null && mark <= end) picture.append(...this.mark(mark, width));
    this.cursor = svg("line", { class: "cursor", y1: EDGE.top, y2: HEIGHT - EDGE.bottom, x1: -9, x2: -9 });
    picture.append(this.cursor);
    this.box.replaceChildren(picture);
  }

  band(band, end) {
    const start = this.x(band.start_s);
    const stop = this.x(band.end_s === null ? end : band.end_s);
    const found = [svg("rect", { class: "band", x: start, y: EDGE.top, width: Math.max(1.5, stop - start), height: HEIGHT - EDGE.top - EDGE.bottom })];
    if (stop - start > 7 * band.fault.length) {
      found.push(svg("text", { class: "band-name", x: start + 3, y: EDGE.top - 6 }, band.fault));
    }
    return found;
  }

  axes(end, scale, width) {
    const found = [];
    for (const value of scale.steps) {
      const y = this.y(value);
      if (y < EDGE.top - 1) continue;
      found.push(svg("line", { class: "grid", x1: EDGE.left, x2: width - EDGE.right, y1: y, y2: y }));
      found.push(svg("text", { x: EDGE.left - 7, y: y + 4, "text-anchor": "end" }, short(value)));
    }
    for (const time of stepsOf(end, width > 600 ? 10 : 5)) {
      found.push(svg("text", { x: this.x(time), y: HEIGHT - 8, "text-anchor": "middle" }, short(time) + " s"));
    }
    found.push(svg("text", { x: 2, y: 11 }, this.unit));
    return found;
  }

  // A stretch of buckets that have a value; one alone is a dot, for a line of one point is none.
  line({ kind, values }, width_s) {
    const found = [];
    let stretch = [];
    const close = () => {
      if (stretch.length === 1) found.push(svg("circle", { class: "dot " + kind, cx: stretch[0][0], cy: stretch[0][1], r: 2.5 }));
      if (stretch.length > 1) found.push(svg("polyline", { class: "line " + kind, points: stretch.map((at) => at.join(",")).join(" ") }));
      stretch = [];
    };
    values.forEach((value, at) => {
      if (value === null) close();
      else stretch.push([this.x((at + 0.5) * width_s).toFixed(1), this.y(value).toFixed(1)]);
    });
    close();
    return found;
  }

  mark(time, width) {
    const x = this.x(time);
    const isLate = x > width / 2;
    const words = svg("text", { class: "mark-name", x: isLate ? x - 4 : x + 4, y: EDGE.top + 10, "text-anchor": isLate ? "end" : "start" }, "first anomaly");
    return [svg("line", { class: "mark", x1: x, x2: x, y1: EDGE.top, y2: HEIGHT - EDGE.bottom }), words];
  }

  point(time) {
    const x = time === null || !this.x ? -9 : this.x(time);
    this.cursor?.setAttribute("x1", x);
    this.cursor?.setAttribute("x2", x);
  }
}
