// The calls of the run as flat arrays, unpacked once from the page's JSON.

const TYPES = ["invoke", "ok", "fail", "info"];
const OK = 1, FAIL = 2, INFO = 3;
const raw = readJson("timeline-data");
const calls = unpack(raw);
const bands = raw.bands;
const anomalies = raw.anomalies;
const isWhole = new Set(raw.txn_f);
/** What a microsecond is on the axis; a history without times has records there instead. */
const UNIT = raw.timed ? 1 : 1e-3;

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
  if (answered) words.push(isWhole.has(calls.f[call]) && !asked ? answered : `→ ${answered}`);
  if (calls.type[call] === FAIL) words.push("✗");
  if (calls.type[call] === INFO) words.push("?");
  return words.join(" ");
}

/** Lanes: for each its name and its calls in order of time. */
function makeLanes(by) {
  const packed = by === "packed" ? packProcesses() : null;
  const threads = by === "thread" ? raw.threads : 0;
  const found = new Map();
  for (let call = 0; call < calls.count; call++) {
    const process = calls.process[call];
    const lane = packed ? packed.get(process) : threads ? process % threads : process;
    if (!found.has(lane)) found.set(lane, []);
    found.get(lane).push(call);
  }
  const names = [...found.keys()].sort((a, b) => a - b);
  return names.map((name) => {
    const own = Int32Array.from(found.get(name));
    const node = calls.texts[calls.node[own[0]]];
    return { name: packed ? processesOf(own) : String(name), node: node.slice(0, 8), calls: own };
  });
}

/** A lane for each process: the first one whose last process was over before this one began. */
function packProcesses() {
  const lifetimes = new Map();
  for (let call = 0; call < calls.count; call++) {
    const end = isOpen(call) ? calls.start[call] : calls.end[call];
    const life = lifetimes.get(calls.process[call]);
    if (life) life.end = Math.max(life.end, end);
    else lifetimes.set(calls.process[call], { start: calls.start[call], end });
  }
  const free = [], lanes = new Map();
  for (const [process, life] of lifetimes) {
    const first = free.findIndex((since) => since < life.start);
    const lane = first < 0 ? free.length : first;
    free[lane] = life.end;
    lanes.set(process, lane);
  }
  return lanes;
}

function processesOf(own) {
  const names = [...new Set(Array.from(own, (call) => calls.process[call]))];
  return names.length > 3 ? `${names.slice(0, 2).join(", ")} +${names.length - 2}` : names.join(", ");
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
