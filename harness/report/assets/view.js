// What part of the run is in view, and what is chosen in it. Every change asks for one repaint.

const GUTTER = 104, HEAD = 44, LANE = 24, LEAST_SPAN = 20;
const canvas = byId("lanes");
const view = {
  from: 0,
  to: 1,
  top: 0,
  width: 800,
  height: 300,
  lanes: [],
  laneOf: new Int32Array(calls.count),
  pinned: -1,
  hovered: -1,
  anomaly: -1,
  matches: null,
  isMatch: null,
};
let repaintAsked = false;

function repaint() {
  if (repaintAsked) return;
  repaintAsked = true;
  requestAnimationFrame(() => {
    repaintAsked = false;
    paint();
    paintOverview();
  });
}

function chooseLanes(by) {
  view.lanes = makeLanes(by);
  view.lanes.forEach((lane, at) => {
    for (const call of lane.calls) view.laneOf[call] = at;
  });
  view.top = 0;
  resize();
}

function resize() {
  const box = canvas.parentElement.getBoundingClientRect();
  const wanted = HEAD + view.lanes.length * LANE + 6;
  view.width = Math.max(box.width, 240);
  view.height = clamp(wanted, 160, Math.max(320, Math.min(innerHeight * 0.7, 720)));
  fit(canvas, view.width, view.height);
  resizeOverview();
  view.top = clamp(view.top, 0, mostTop());
  repaint();
}

function fit(target, width, height) {
  const scale = devicePixelRatio || 1;
  target.width = Math.round(width * scale);
  target.height = Math.round(height * scale);
  target.style.height = `${height}px`;
}

function mostTop() {
  return Math.max(0, view.lanes.length * LANE + 6 - (view.height - HEAD));
}

function xOf(time) {
  return GUTTER + ((time - view.from) / (view.to - view.from)) * (view.width - GUTTER);
}

function timeOf(x) {
  return view.from + ((x - GUTTER) / (view.width - GUTTER)) * (view.to - view.from);
}

function show(from, to) {
  const whole = calls.last;
  const span = clamp(to - from, LEAST_SPAN, whole * 1.04);
  const middle = (from + to) / 2;
  const start = clamp(middle - span / 2, -whole * 0.02, whole * 1.02 - span);
  view.from = start;
  view.to = start + span;
  repaint();
}

function showAll() {
  show(-calls.last * 0.005, calls.last * 1.005);
}

/** Zoom by `factor` (below 1: closer) round a place on the canvas. */
function zoom(factor, x = GUTTER + (view.width - GUTTER) / 2) {
  const span = clamp((view.to - view.from) * factor, LEAST_SPAN, calls.last * 1.04);
  const anchor = timeOf(x);
  const share = (x - GUTTER) / (view.width - GUTTER);
  show(anchor - share * span, anchor + (1 - share) * span);
}

function pan(share) {
  const by = (view.to - view.from) * share;
  show(view.from + by, view.to + by);
}

function scrollLanes(pixels) {
  view.top = clamp(view.top + pixels, 0, mostTop());
  repaint();
}

function revealLane(call) {
  const y = view.laneOf[call] * LANE, room = view.height - HEAD;
  if (y < view.top) view.top = y;
  else if (y + LANE > view.top + room) view.top = clamp(y + LANE - room, 0, mostTop());
}

/** Bring a call into view, close enough to be read. */
function showCall(call) {
  const took = isOpen(call) ? 2000 * UNIT : calls.end[call] - calls.start[call];
  const span = Math.max(took * 8, 20000 * UNIT);
  const middle = calls.start[call] + took / 2;
  const seen = calls.start[call] >= view.from && calls.start[call] <= view.to;
  if (!seen || view.to - view.from > span * 6 || took > view.to - view.from) {
    show(middle - span / 2, middle + span / 2);
  }
  revealLane(call);
  repaint();
}

function showAnomaly(at) {
  if (!anomalies.length) return;
  view.anomaly = (at + anomalies.length) % anomalies.length;
  const anomaly = anomalies[view.anomaly];
  const margin = Math.max((anomaly.end - anomaly.start) * 0.25, 3000 * UNIT);
  if (anomaly.calls.length) {
    show(anomaly.start - margin, anomaly.end + margin);
    revealLane(anomaly.calls[anomaly.calls.length - 1]);
  }
  byId("anomaly-count").textContent =
    `${anomaly.title} · ${view.anomaly + 1} of ${anomalies.length}`;
  view.pinned = -1;
  details.replaceChildren(...describeAnomaly(anomaly));
  repaint();
}

/** Whether a call is a witness of the anomaly that is looked at, or of any if none is. */
function isCurrentWitness(call) {
  return view.anomaly < 0 || anomalies[view.anomaly].calls.includes(call);
}

/** The call under a point of the canvas, or -1; a little slack makes thin bars easy to meet. */
function callAt(x, y) {
  if (x < GUTTER || y < HEAD) return -1;
  const lane = view.lanes[Math.floor((y - HEAD + view.top) / LANE)];
  if (!lane) return -1;
  const time = timeOf(x), slack = timeOf(x + 4) - time;
  const before = countStarted(lane, time + slack) - 1;
  let best = -1, bestGap = Infinity;
  for (let at = before; at >= Math.max(0, before - 8); at--) {
    const call = lane.calls[at];
    const gap = Math.max(calls.start[call] - time, time - calls.end[call], 0);
    const weight = gap - (calls.isWitness[call] ? slack / 2 : 0);
    if (gap <= slack && weight < bestGap) [best, bestGap] = [call, weight];
  }
  return best;
}
