// Hands on the timeline: wheel, drag, pinch and keys. The wheel zooms only once the timeline has
// been clicked (or with Ctrl held, which is also what a pinch sends): a reader who scrolls past
// must not be caught by it.

const pointers = new Map();
let drag = null;
let hintOff = 0;

function listenToPointer() {
  canvas.addEventListener("wheel", onWheel, { passive: false });
  canvas.addEventListener("pointerdown", onDown);
  canvas.addEventListener("pointermove", onMove);
  canvas.addEventListener("pointerup", onUp);
  canvas.addEventListener("pointercancel", onUp);
  canvas.addEventListener("pointerleave", () => hover(-1));
  canvas.addEventListener("dblclick", (event) => zoom(0.4, event.offsetX));
  canvas.addEventListener("keydown", onKey);
  overview.addEventListener("pointerdown", onOverview);
  overview.addEventListener("pointermove", (event) => { if (event.buttons) onOverview(event); });
}

function onWheel(event) {
  const sideways = Math.abs(event.deltaX) > Math.abs(event.deltaY) || event.shiftKey;
  if (sideways) {
    event.preventDefault();
    pan((event.deltaX || event.deltaY) / view.width);
  } else if (event.ctrlKey || event.metaKey || document.activeElement === canvas) {
    event.preventDefault();
    const rows = event.deltaMode === 1 ? 30 : 1;
    zoom(Math.exp(clamp(event.deltaY * rows, -240, 240) * (event.ctrlKey ? 0.01 : 0.0022)), event.offsetX);
  } else {
    const hint = byId("wheel-hint");
    hint.classList.add("is-on");
    clearTimeout(hintOff);
    hintOff = setTimeout(() => hint.classList.remove("is-on"), 1200);
  }
}

function onDown(event) {
  canvas.focus({ preventScroll: true });
  canvas.setPointerCapture(event.pointerId);
  pointers.set(event.pointerId, event.offsetX);
  drag = { x: event.offsetX, y: event.offsetY, from: view.from, to: view.to, top: view.top, moved: false };
  drag.gap = pointerGap();
}

function pointerGap() {
  const [a, b] = [...pointers.values()];
  return b === undefined ? 0 : Math.abs(a - b);
}

function onMove(event) {
  if (!pointers.has(event.pointerId)) {
    hover(callAt(event.offsetX, event.offsetY), event.offsetX, event.offsetY);
    return;
  }
  pointers.set(event.pointerId, event.offsetX);
  if (pointers.size > 1) {
    pinch();
    return;
  }
  const byX = event.offsetX - drag.x, byY = event.offsetY - drag.y;
  if (!drag.moved && Math.hypot(byX, byY) < 4) return;
  drag.moved = true;
  canvas.classList.add("is-dragged");
  hover(-1);
  const by = (byX / (view.width - GUTTER)) * (drag.to - drag.from);
  show(drag.from - by, drag.to - by);
  view.top = clamp(drag.top - byY, 0, mostTop());
}

function pinch() {
  const [a, b] = [...pointers.values()];
  const gap = Math.max(pointerGap(), 8);
  drag.moved = true;
  if (drag.gap) zoom(drag.gap / gap, (a + b) / 2);
  drag.gap = gap;
}

function onUp(event) {
  const known = pointers.delete(event.pointerId);
  canvas.classList.remove("is-dragged");
  if (!known || !drag || drag.moved || event.type === "pointercancel") return;
  const call = callAt(event.offsetX, event.offsetY);
  if (call >= 0) pin(call);
}

function onOverview(event) {
  const middle = (event.offsetX / strip.width) * calls.last;
  const span = Math.min(view.to - view.from, calls.last * 0.2);
  show(middle - span / 2, middle + span / 2);
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const act = {
    ArrowLeft: () => pan(-0.15),
    ArrowRight: () => pan(0.15),
    ArrowUp: () => scrollLanes(-LANE * 2),
    ArrowDown: () => scrollLanes(LANE * 2),
    PageUp: () => pan(-0.9),
    PageDown: () => pan(0.9),
    Home: () => show(0, view.to - view.from),
    End: () => show(calls.last - (view.to - view.from), calls.last),
    "+": () => zoom(0.7),
    "=": () => zoom(0.7),
    "-": () => zoom(1 / 0.7),
    0: showAll,
    n: () => showAnomaly(view.anomaly + 1),
    p: () => showAnomaly(Math.max(view.anomaly, 0) - 1),
    ",": () => goTo(view.pinned < 0 ? firstInView() : view.pinned - 1),
    ".": () => goTo(view.pinned < 0 ? firstInView() : view.pinned + 1),
    "/": () => searchBox.focus(),
    Escape: () => pin(-1),
  }[event.key];
  if (!act) return;
  event.preventDefault();
  act();
}

function firstInView() {
  let low = 0, high = calls.count;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (calls.start[middle] < view.from) low = middle + 1;
    else high = middle;
  }
  return Math.min(low, calls.count - 1);
}
