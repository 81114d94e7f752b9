// The calls of the run as flat arrays, unpacked once from the page's JSON.

const TYPES = ["invoke", "ok", "fail", "info"];
const OK = 1, FAIL = 2, INFO = 3;
const raw = readJson("timeline-data");
const calls = unpack(raw);
const bands = raw.bands;
const anomalies = raw.anomalies;

function unpack(data) {
  const count = data.took.length;
  const made = {
    count,
    start: new Float64Array(count),
    end: new Float64Array(count),
    index: Int32Array.from(data.index),
    done: Int32Array.from(data.done),
    process: Int32Array.from(data.process),
    type: Uint8Array.from(data.type, Number),
    f: Uint16Array.from(data.f),
    key: Int32Array.from(data.key),
    asked: Int32Array.from(data.asked),
    answered: Int32Array.from(data.answered),
    error: Int32Array.from(data.error),
    node: Int32Array.from(data.node),
    texts: data.texts,
    fNames: data.f_names,
    isWitness: new Uint8Array(count),
  };
  let at = 0, last = 1;
  for (let call = 0; call < count; call++) {
    at += data.start[call];
    made.start[call] = at;
    made.end[call] = at + data.took[call];
    last = Math.max(last, made.end[call]);
  }
  for (const band of data.bands) last = Math.max(last, Math.min(band.end, last * 1.2));
  made.last = last;
  for (const anomaly of data.anomalies) for (const call of anomaly.calls) made.isWitness[call] = 1;
  return made;
}

const callOfIndex = new Map();
for (let call = 0; call < calls.count; call++) {
  if (calls.done[call] >= 0) callOfIndex.set(calls.done[call], call);
}
for (let call = 0; call < calls.count; call++) {
  if (calls.index[call] >= 0) callOfIndex.set(calls.index[call], call);
}

function indexOf(call) {
  return calls.index[call] >= 0 ? calls.index[call] : calls.done[call];
}

function isOpen(call) {
  return calls.done[call] < 0;
}

/** One call in words, as in the rest of the page. */
function phrase(call, withKey = true) {
  const { texts } = calls;
  const words = [calls.fNames[calls.f[call]]];
  const key = texts[calls.key[call]], asked = texts[calls.asked[call]];
  let answered = texts[calls.answered[call]];
  if (withKey && key) words.push(`k${key}`);
  if (asked) words.push(asked);
  if (calls.type[call] === OK && !answered && !asked) answered = "nil";
  if (answered) words.push(`→ ${answered}`);
  if (calls.type[call] === FAIL) words.push("✗");
  if (calls.type[call] === INFO) words.push("?");
  return words.join(" ");
}

/** Lanes: for each its name and its calls in order of time. */
function makeLanes(by) {
  const threads = by === "thread" ? raw.threads : 0;
  const found = new Map();
  for (let call = 0; call < calls.count; call++) {
    const lane = threads ? calls.process[call] % threads : calls.process[call];
    if (!found.has(lane)) found.set(lane, []);
    found.get(lane).push(call);
  }
  const names = [...found.keys()].sort((a, b) => a - b);
  return names.map((name) => {
    const own = Int32Array.from(found.get(name));
    const node = calls.texts[calls.node[own[0]]];
    return { name: String(name), node: node.slice(0, 8), calls: own };
  });
}

/** How many of a lane's calls begin at or before `time`. */
function countStarted(lane, time) {
  let low = 0, high = lane.calls.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (calls.start[lane.calls[middle]] <= time) low = middle + 1;
    else high = middle;
  }
  return low;
}
