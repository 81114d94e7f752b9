// Painting the lanes. Bars narrower than a pixel and a half share a column, which shows the worst
// of them (info, then fail, then ok), so a repaint costs about lanes × pixels however many calls
// there are. Types differ by height and form, not by hue alone:
//   ok    a solid bar        fail  a hollow bar, crossed        info  a hatched bar, open at its end

const pen = canvas.getContext("2d");
let colours = {};
let hatch = {};

function readColours() {
  const style = getComputedStyle(document.documentElement);
  const names = ["page", "card", "ink", "soft-ink", "faint", "line", "well", "accent", "ok", "on-ok",
    "ok-soft", "fail", "fail-soft", "info", "info-soft", "fault", "fault-soft", "fault-line", "witness"];
  colours = Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
  hatch = {
    info: makeHatch(colours["info-soft"], colours.info, 6, 1.6),
    fault: makeHatch(colours["fault-soft"], colours["fault-line"], 9, 1.2),
  };
}

function makeHatch(ground, line, size, thick) {
  const tile = element("canvas", { width: size, height: size });
  const brush = tile.getContext("2d");
  brush.fillStyle = ground;
  brush.fillRect(0, 0, size, size);
  brush.strokeStyle = line;
  brush.lineWidth = thick;
  brush.beginPath();
  for (const shift of [-size, 0, size]) {
    brush.moveTo(shift - 1, size + 1);
    brush.lineTo(shift + size + 1, -1);
  }
  brush.stroke();
  return pen.createPattern(tile, "repeat");
}

function paint() {
  const scale = devicePixelRatio || 1;
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  pen.fillStyle = colours.card;
  pen.fillRect(0, 0, view.width, view.height);
  paintBands();
  paintAxis();
  pen.save();
  pen.beginPath();
  pen.rect(0, HEAD, view.width, view.height - HEAD);
  pen.clip();
  const first = Math.floor(view.top / LANE);
  const last = Math.min(view.lanes.length, Math.ceil((view.top + view.height - HEAD) / LANE));
  for (let at = first; at < last; at++) paintLane(view.lanes[at], HEAD + at * LANE - view.top, at);
  for (const call of new Set([view.hovered, view.pinned])) if (call >= 0) paintRing(call);
  pen.restore();
  paintScrollbar();
}

function paintBands() {
  pen.save();
  pen.beginPath();
  pen.rect(GUTTER, 0, view.width - GUTTER, view.height);
  pen.clip();
  let free = -Infinity;
  for (const band of bands) {
    const left = xOf(band.start), right = xOf(band.end);
    if (right < GUTTER || left > view.width) continue;
    pen.fillStyle = hatch.fault;
    pen.fillRect(left, 20, Math.max(right - left, 1), view.height);
    pen.fillStyle = colours.fault;
    pen.fillRect(left, 20, 1, view.height);
    pen.fillRect(right, 20, 1, view.height);
    pen.font = "600 11px system-ui, sans-serif";
    const from = Math.max(left + 5, GUTTER + 4);
    const label = band.healed ? band.label : `${band.label}, never healed`;
    const width = pen.measureText(label).width;
    if (from > free && (band.moment || right - left > 14)) {
      pen.save();
      pen.beginPath();
      pen.rect(left, 20, band.moment ? width + 8 : Math.max(right - left, 0), 22);
      pen.clip();
      pen.fillText(label, from, 35);
      pen.restore();
      free = band.moment ? from + width : Math.min(from + width, right);
    }
  }
  pen.restore();
}

function paintAxis() {
  const span = view.to - view.from;
  const wanted = span / Math.max((view.width - GUTTER) / 110, 1);
  const power = 10 ** Math.floor(Math.log10(wanted));
  const step = [1, 2, 5, 10].map((n) => n * power).find((s) => s >= wanted);
  pen.font = "11px system-ui, sans-serif";
  pen.textAlign = "center";
  for (let time = Math.ceil(view.from / step) * step; time <= view.to; time += step) {
    const x = Math.round(xOf(time));
    if (x < GUTTER + 1) continue;
    pen.fillStyle = colours.line;
    pen.fillRect(x, 16, 1, view.height);
    pen.fillStyle = colours["soft-ink"];
    if (x > GUTTER + 18 && x < view.width - 22) pen.fillText(moment(time, step), x, 13);
  }
  pen.textAlign = "left";
}

function paintLane(lane, y, at) {
  const middle = y + LANE / 2;
  pen.fillStyle = colours.line;
  pen.fillRect(GUTTER, Math.round(middle), view.width - GUTTER, 1);
  paintCalls(lane, y);
  pen.fillStyle = colours.card;
  pen.fillRect(0, y, GUTTER - 1, LANE);
  pen.fillStyle = colours["soft-ink"];
  pen.font = "12px system-ui, sans-serif";
  const kind = byId("lane-by").value === "thread" && raw.threads ? "thread" : "process";
  pen.fillText(`${view.width > 640 ? kind : kind[0]} ${lane.name}`, 4, middle + 4);
  if (lane.node) {
    pen.textAlign = "right";
    pen.fillStyle = colours.faint;
    pen.fillText(lane.node, GUTTER - 8, middle + 4);
    pen.textAlign = "left";
  }
}

function paintCalls(lane, y) {
  const to = countStarted(lane, view.to);
  let from = Math.max(0, countStarted(lane, view.from) - 1);
  let column = -1, worst = 0;
  const wide = [];
  const flush = () => {
    if (column >= 0) paintColumn(column, y, worst);
    [column, worst] = [-1, 0];
  };
  for (let at = from; at < to; at++) {
    const call = lane.calls[at];
    const left = xOf(calls.start[call]), right = xOf(calls.end[call]);
    if (right < GUTTER - 2) continue;
    if (right - left >= 1.5 || calls.isWitness[call]) {
      wide.push(call);
      continue;
    }
    const place = Math.floor(left);
    if (place !== column) flush();
    column = place;
    worst = Math.max(worst, calls.type[call] + (view.isMatch && view.isMatch[call] ? 4 : 0));
  }
  flush();
  for (const call of wide) paintCall(call, y);
}

function paintColumn(x, y, worst) {
  const type = worst % 4;
  const faded = view.isMatch && worst < 4;
  pen.globalAlpha = faded ? 0.25 : 1;
  if (type === INFO) {
    pen.fillStyle = colours.info;
    pen.fillRect(x, y + 2, 1.6, LANE - 4);
  } else if (type === FAIL) {
    pen.fillStyle = colours.fail;
    pen.fillRect(x, y + LANE / 2 - 1, 1.3, 9);
  } else {
    pen.fillStyle = colours.ok;
    pen.fillRect(x, y + LANE / 2 - 6, 1, 12);
  }
  pen.globalAlpha = 1;
}

function paintCall(call, y) {
  const left = Math.max(xOf(calls.start[call]), GUTTER - 4);
  const right = Math.min(xOf(calls.end[call]), view.width + 4);
  const width = Math.max(right - left, 2), top = y + 4, height = LANE - 8;
  const type = calls.type[call];
  pen.globalAlpha = view.isMatch && !view.isMatch[call] ? 0.25 : 1;
  if (type === OK) {
    pen.fillStyle = colours.ok;
    pen.fillRect(left, top, width, height);
  } else if (type === FAIL) {
    pen.fillStyle = colours["fail-soft"];
    pen.fillRect(left, top + 2, width, height - 4);
    pen.strokeStyle = colours.fail;
    pen.lineWidth = 1.5;
    pen.strokeRect(left + 0.75, top + 2.75, Math.max(width - 1.5, 1), height - 5.5);
    if (width > 16) paintCross(right - 8, top + height / 2, 3);
  } else {
    pen.fillStyle = hatch.info;
    pen.fillRect(left, top, width, height);
    pen.fillStyle = colours.info;
    pen.fillRect(left, top, 2, height);
    pen.fillRect(left, top, width, 1);
    pen.fillRect(left, top + height - 1, width, 1);
  }
  if (width > 40) paintLabel(call, left, top, width, height, type);
  if (calls.isWitness[call]) paintWitness(left, top, width, height, isCurrentWitness(call));
  pen.globalAlpha = 1;
}

function paintCross(x, y, arm) {
  pen.beginPath();
  pen.moveTo(x - arm, y - arm);
  pen.lineTo(x + arm, y + arm);
  pen.moveTo(x + arm, y - arm);
  pen.lineTo(x - arm, y + arm);
  pen.stroke();
}

function paintLabel(call, left, top, width, height, type) {
  pen.save();
  pen.beginPath();
  pen.rect(left, top, width - (type === FAIL ? 14 : 3), height);
  pen.clip();
  pen.font = "11.5px ui-monospace, Menlo, Consolas, monospace";
  const text = phrase(call).slice(0, 120);
  if (type === INFO) {
    pen.fillStyle = colours["info-soft"];
    pen.fillRect(left + 5, top + 1, pen.measureText(text).width + 6, height - 2);
  }
  pen.fillStyle = type === OK ? colours["on-ok"] : colours.ink;
  pen.fillText(text, left + 7, top + height - 4);
  pen.restore();
}

function paintWitness(left, top, width, height, isCurrent) {
  pen.strokeStyle = colours.witness;
  pen.lineWidth = isCurrent ? 2 : 1;
  if (!isCurrent) pen.globalAlpha *= 0.5;
  pen.strokeRect(left - 2, top - 2, width + 4, height + 4);
  if (!isCurrent) return;
  pen.fillStyle = colours.witness;
  pen.beginPath();
  pen.moveTo(left + width / 2 - 4, top - 7);
  pen.lineTo(left + width / 2 + 4, top - 7);
  pen.lineTo(left + width / 2, top - 1);
  pen.fill();
}

function paintRing(call) {
  const y = HEAD + view.laneOf[call] * LANE - view.top;
  const left = Math.max(xOf(calls.start[call]), GUTTER), right = xOf(calls.end[call]);
  if (right < GUTTER || left > view.width) return;
  pen.strokeStyle = colours.ink;
  pen.lineWidth = call === view.pinned ? 2.5 : 1.5;
  pen.strokeRect(left - 3, y + 1, Math.max(right - left, 2) + 6, LANE - 2);
}

function paintScrollbar() {
  if (!mostTop()) return;
  const room = view.height - HEAD, whole = view.lanes.length * LANE;
  pen.fillStyle = colours.faint;
  pen.globalAlpha = 0.6;
  pen.fillRect(view.width - 6, HEAD + (view.top / whole) * room, 4, (room / whole) * room);
  pen.globalAlpha = 1;
}
