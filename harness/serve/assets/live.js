// Follows one run: asks for its progress each second and writes it as text, never as markup.
"use strict";

const path = document.querySelector(".live").dataset.path;
const at = (id) => document.getElementById(id);
const boxes = { rate: at("rate").querySelector(".picture"), latency: at("latency").querySelector(".picture") };
const plots = { rate: new Plot(boxes.rate, "per second"), latency: new Plot(boxes.latency, "ms") };
const state = { run: {}, chosen: null, isHeld: false };

function row(name, counts) {
  const line = document.createElement("tr");
  const head = document.createElement("th");
  head.scope = "row";
  head.textContent = name;
  line.append(head);
  for (const value of [counts.ok || 0, counts.fail || 0, counts.info || 0]) {
    const cell = document.createElement("td");
    cell.className = "n";
    cell.textContent = String(value);
    line.append(cell);
  }
  return line;
}

function inWords(band) {
  const item = document.createElement("li");
  const until = band.end_s === null ? " s, in force" : " to " + band.end_s.toFixed(1) + " s";
  item.textContent = band.fault + " " + band.targets.join(", ") + ": " + band.start_s.toFixed(1) + until;
  return item;
}

function sighted(run) {
  if (run.anomaly) {
    return "First anomaly so far: " + run.anomaly.kind + " at " + run.anomaly.time_s.toFixed(1) + " s: " + run.anomaly.message;
  }
  if (!run.pace) return "";
  const by = (run.watched || []).join(", ");
  return (by ? "No anomaly that " + by + " can tell at once" : "Nothing can be told at once") + "; the verdict comes at the end.";
}

// Text is written only where it changed: a screen reader says again what is written again.
function write(id, text) {
  if (at(id).textContent !== text) at(id).textContent = text;
}

function show(run) {
  const names = Object.keys(run.operations || {}).sort();
  const nodes = Object.entries(run.nodes || {}).map(([node, state]) => node + " " + state);
  write("phase", run.verdict ? "Over: " + run.verdict : run.phase || "Starting");
  document.title = "Polygraph: " + at("phase").textContent;
  write("clock", run.time_s ? run.time_s.toFixed(0) + " s of " + run.limit_s + " s" : "");
  at("done").value = run.limit_s ? Math.min(1, (run.time_s || 0) / run.limit_s) : 0;
  write("anomaly", sighted(run));
  at("anomaly").classList.toggle("is-bad", Boolean(run.anomaly));
  at("operations").replaceChildren(...names.map((name) => row(name, run.operations[name])));
  write("faults", "Faults in force: " + ((run.faults || []).join(", ") || "none"));
  at("bands").replaceChildren(...(run.bands || []).slice(-6).map(inWords));
  write("nodes", nodes.length ? "Nodes: " + nodes.join(", ") : "");
  write("error", run.last_error ? "Last error: " + run.last_error : "");
  draw(run);
}

function draw(run) {
  const pace = run.pace;
  if (!pace || !pace.ok.length) return;
  const bands = run.bands || [];
  const mark = run.anomaly ? run.anomaly.time_s : null;
  const rates = ["ok", "fail", "info"].map((kind) => ({ kind, values: pace[kind].map((n) => n / pace.width_s) }));
  plots.rate.draw(pace.width_s, rates, bands, mark, linear(Math.max(...rates.flatMap((line) => line.values))));
  const times = ["p50", "p99"].map((kind) => ({ kind, values: pace[kind + "_ms"] }));
  const known = times.flatMap((line) => line.values).filter((value) => value !== null);
  plots.latency.draw(pace.width_s, times, bands, mark, logarithmic(Math.min(...known), Math.max(...known)));
  point(state.chosen);
}

// The bucket that is pointed at, in both plots and in words.
function point(bucket) {
  const pace = state.run.pace;
  state.chosen = bucket;
  for (const plot of Object.values(plots)) plot.point(bucket === null || !pace ? null : (bucket + 0.5) * pace.width_s);
  if (bucket === null || !pace) return;
  const start = bucket * pace.width_s, end = start + pace.width_s;
  const each = (kind) => (pace[kind][bucket] / pace.width_s).toFixed(1) + " " + kind;
  const ms = (name) => name + " " + (pace[name + "_ms"][bucket] === null ? "unknown" : short(pace[name + "_ms"][bucket]) + " ms");
  const active = (state.run.bands || []).filter((band) => band.start_s < end && (band.end_s === null || band.end_s >= start));
  const faults = active.length ? active.map((band) => band.fault).join(", ") + " in force" : "no fault in force";
  write("read-out", start.toFixed(1) + " to " + end.toFixed(1) + " s: " + [each("ok"), each("fail"), each("info")].join(", ") + " a second; " + ms("p50") + ", " + ms("p99") + "; " + faults);
}

function move(event) {
  const count = state.run.pace ? state.run.pace.ok.length : 0;
  const last = count - 1, now = state.chosen === null ? last : Math.min(state.chosen, last);
  const to = { ArrowLeft: now - 1, ArrowRight: now + 1, Home: 0, End: last, PageUp: now - 10, PageDown: now + 10 }[event.key];
  if (event.key === "Escape") point(null);
  if (to === undefined || count === 0) return;
  event.preventDefault();
  point(state.chosen === null && event.key === "ArrowLeft" ? last : Math.max(0, Math.min(last, to)));
}

for (const [name, box] of Object.entries(boxes)) {
  box.addEventListener("keydown", move);
  box.addEventListener("pointermove", (event) => {
    const pace = state.run.pace;
    if (!pace || !plots[name].timeAt) return;
    const bucket = Math.floor(plots[name].timeAt(event.clientX - box.getBoundingClientRect().left) / pace.width_s);
    if (bucket >= 0 && bucket < pace.ok.length && bucket !== state.chosen) point(bucket);
  });
}

at("hold").addEventListener("click", () => {
  state.isHeld = !state.isHeld;
  at("hold").setAttribute("aria-pressed", String(state.isHeld));
  if (!state.isHeld) follow();
});

new ResizeObserver(() => draw(state.run)).observe(boxes.rate);

async function follow() {
  if (state.isHeld) return;
  try {
    const answer = await fetch("/progress/" + path);
    const run = await answer.json();
    if (state.isHeld) return;
    state.run = run;
    show(run);
    if (run.verdict) {
      location.href = "/run/" + path + "/";
      return;
    }
  } catch (error) {
    write("error", "The server does not answer.");
  }
  clearTimeout(state.timer);
  state.timer = setTimeout(follow, 1000);
}

follow();
