// Wiring: buttons, addresses, theme and size; then the first picture.

function scrollToTimeline() {
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  byId("timeline").scrollIntoView({ behavior: calm ? "auto" : "smooth", block: "start" });
}

/** Opens every fold around `target`, so that there is something to go to. */
function unfold(target) {
  for (let fold = target; fold; fold = fold.parentElement?.closest("details")) {
    if (fold.tagName === "DETAILS") fold.open = true;
  }
}

function followAddress() {
  const anomaly = /^#anomaly-\d+$/.test(location.hash) && byId(location.hash.slice(1));
  if (anomaly) {
    unfold(anomaly);
    anomaly.scrollIntoView({ block: "start" });
  }
  const match = /^#op-(\d+)$/.exec(location.hash);
  if (!match) return;
  const call = callOfIndex.get(Number(match[1]));
  scrollToTimeline();
  if (call === undefined) {
    pin(-1, { remember: false });
    details.replaceChildren(element("p", { className: "meta" }, `This page holds no operation ${match[1]}.`));
    return;
  }
  pin(call, { remember: false });
  showCall(call);
}

function stepToAnomaly(number, by) {
  const target = byId(`anomaly-${number + by}`);
  if (!target) return;
  document.querySelectorAll(".anomaly.is-current").forEach((one) => one.classList.remove("is-current"));
  target.classList.add("is-current");
  unfold(target);
  (target.tagName === "DETAILS" ? target.querySelector("summary") : target).focus({ preventScroll: true });
  target.scrollIntoView({ block: "start" });
}

function listenToButtons() {
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    const { copy, anomaly, anomalyStep, showAnomaly: shown, showFrom, showTo } = button.dataset;
    if (copy) copyText(byId(copy), button);
    if (anomalyStep) stepToAnomaly(Number(anomaly), Number(anomalyStep));
    if (shown) {
      showAnomaly(anomalies.findIndex((one) => one.number === Number(shown)));
      scrollToTimeline();
      canvas.focus({ preventScroll: true });
    }
    if (showFrom) {
      const margin = (Number(showTo) - Number(showFrom)) * 0.15 + 1000 * UNIT;
      show(Number(showFrom) - margin, Number(showTo) + margin);
      scrollToTimeline();
    }
  });
  byId("zoom-in").addEventListener("click", () => zoom(0.5));
  byId("zoom-out").addEventListener("click", () => zoom(2));
  byId("zoom-all").addEventListener("click", showAll);
  byId("lane-by").addEventListener("change", (event) => {
    chooseLanes(event.target.value);
    if (view.pinned >= 0) revealLane(view.pinned);
  });
  byId("anomaly-next").addEventListener("click", () => showAnomaly(view.anomaly + 1));
  byId("anomaly-previous").addEventListener("click", () => showAnomaly(Math.max(view.anomaly, 0) - 1));
}

function note() {
  const said = [];
  if (!raw.timed && calls.count) said.push("The history has no times: the axis counts its records.");
  if (!calls.count) said.push("There are no client operations to draw.");
  if (raw.left_out) said.push(`${raw.left_out.toLocaleString("en")} operations were left out of the drawing to keep the page usable; those around anomalies are all here.`);
  if (raw.value_limit < 400) said.push(`Values are cut after ${raw.value_limit} characters; the history file has them whole.`);
  byId("timeline-note").textContent = said.join(" ");
  byId("timeline-note").hidden = !said.length;
}

function start() {
  readColours();
  listenToButtons();
  listenToSearch();
  listenToPointer();
  listenToLogs();
  listenToDrawings();
  note();
  if (!raw.threads) byId("lane-by").value = "packed";
  byId("lane-by").options[0].disabled = !raw.threads;
  chooseLanes(byId("lane-by").value);
  byId("anomaly-buttons").hidden = !anomalies.length;
  byId("anomaly-count").textContent = anomalies.length === 1 ? "1 anomaly" : `${anomalies.length} anomalies`;
  showAll();
  addEventListener("hashchange", followAddress);
  new ResizeObserver(resize).observe(byId("stage"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    readColours();
    strip.picture = null;
    repaint();
  });
  followAddress();
  document.documentElement.dataset.ready = "yes";
}

start();
