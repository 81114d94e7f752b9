// The tooltip under the pointer and the panel of the pinned operation.

const tooltip = byId("tooltip");
const details = byId("details");

function outcome(call) {
  if (isOpen(call)) return "info, never completed";
  return TYPES[calls.type[call]];
}

function hover(call, x, y) {
  if (call !== view.hovered) {
    view.hovered = call;
    repaint();
  }
  tooltip.hidden = call < 0;
  if (call < 0) return;
  const took = isOpen(call) ? "open to the end" : raw.timed ? length(calls.end[call] - calls.start[call]) : "";
  tooltip.replaceChildren(
    element("b", {}, `#${indexOf(call)} ${phrase(call).slice(0, 300)}`),
    element("span", {}, `${outcome(call)} · process ${calls.process[call]}` +
      `${calls.node[call] ? ` on ${calls.texts[calls.node[call]]}` : ""} · ` +
      `${moment(calls.start[call], 1)}${took && ` · ${took}`}`),
  );
  const error = calls.texts[calls.error[call]];
  if (error) tooltip.append(element("div", {}, error.slice(0, 200)));
  const wide = tooltip.offsetWidth, high = tooltip.offsetHeight;
  tooltip.style.left = `${clamp(x + 14, 4, view.width - wide - 4)}px`;
  tooltip.style.top = `${y + 18 + high > view.height ? Math.max(y - high - 12, 0) : y + 18}px`;
}

/** Pin a call: ring it, tell about it, make its address the page's. */
function pin(call, { remember = true } = {}) {
  view.pinned = call;
  if (call < 0) {
    details.replaceChildren(element("p", { className: "meta" }, "No operation is pinned."));
    if (remember) history.replaceState(null, "", "#timeline");
  } else {
    details.replaceChildren(...describe(call));
    if (remember) history.replaceState(null, "", `#op-${indexOf(call)}`);
  }
  repaint();
}

function describe(call) {
  const list = element("dl", { className: "facts small" });
  for (const [name, value] of factsOf(call)) {
    if (value === "") continue;
    list.append(element("div", {}, element("dt", {}, name),
      element("dd", {}, element("bdi", {}, value))));
  }
  const buttons = element("div", { className: "buttons" },
    step("← Before, same lane", neighbour(call, -1)), step("After, same lane →", neighbour(call, 1)));
  if (calls.key[call]) {
    const key = calls.texts[calls.key[call]];
    const find = element("button", { type: "button" }, `All on key ${key.slice(0, 30)}`);
    find.addEventListener("click", () => runSearch(`key:${key}`, { move: false }));
    buttons.append(find);
  }
  return [element("h3", {}, `#${indexOf(call)} ${phrase(call)}`), list, buttons];
}

/** The panel for an anomaly: its witness operations, each a step away, and the way to its proof. */
function describeAnomaly(anomaly) {
  const operations = element("ul", { className: "witnesses" });
  for (const call of anomaly.calls) {
    const link = element("a", { href: `#op-${indexOf(call)}` }, `#${indexOf(call)}`);
    operations.append(element("li", {}, link, ` ${phrase(call)}, `,
      element("span", { className: "meta" }, `${outcome(call)}, process ${calls.process[call]}, ${moment(calls.start[call])}`)));
  }
  const proof = byId(`anomaly-${anomaly.number}`);
  const way = proof ? [element("p", {}, element("a", { href: `#anomaly-${anomaly.number}` }, "Read the proof"))] : [];
  return [element("h3", {}, `Anomaly ${anomaly.number}: ${anomaly.title}`), operations, ...way];
}

function factsOf(call) {
  const { texts } = calls;
  const active = bands.filter((band) => band.start <= calls.end[call] && band.end >= calls.start[call]);
  const wall = raw.wall_ms === null ? "" : new Date(raw.wall_ms + calls.start[call] / 1e3).toISOString();
  return [
    ["Outcome", outcome(call)],
    ["Process", String(calls.process[call])],
    ["Node", texts[calls.node[call]]],
    ["Operation", calls.fNames[calls.f[call]]],
    ["Key", texts[calls.key[call]]],
    ["Asked with", texts[calls.asked[call]]],
    ["Answered", calls.type[call] === OK ? texts[calls.answered[call]] || texts[calls.asked[call]] || "nil" : texts[calls.answered[call]]],
    ["Error", texts[calls.error[call]]],
    ["Invoked", moment(calls.start[call], 1)],
    ["Completed", isOpen(call) ? "never" : moment(calls.end[call], 1)],
    ["Took", isOpen(call) || !raw.timed ? "" : length(calls.end[call] - calls.start[call])],
    ["Records", isOpen(call) ? `${calls.index[call]}` : `${calls.index[call] < 0 ? "—" : calls.index[call]} and ${calls.done[call]}`],
    ["Wall time", wall],
    ["Faults in force", active.map((band) => band.label).join("; ")],
    ["Witness of", anomalies.filter((a) => a.calls.includes(call)).map((a) => `anomaly ${a.number} (${a.title})`).join("; ")],
    ["Address", `#op-${indexOf(call)}`],
  ];
}

function step(label, call) {
  const button = element("button", { type: "button", disabled: call < 0 }, label);
  button.addEventListener("click", () => goTo(call));
  return button;
}

function neighbour(call, by) {
  const lane = view.lanes[view.laneOf[call]];
  let at = countStarted(lane, calls.start[call]) - 1;
  while (at > 0 && lane.calls[at] !== call) at--;
  return lane.calls[at + by] ?? -1;
}

function goTo(call) {
  if (call < 0 || call >= calls.count) return;
  pin(call);
  showCall(call);
}
