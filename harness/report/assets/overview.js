// The strip above the lanes: the whole run as a histogram, faults, anomalies and the part in view.

const overview = byId("overview");
const strip = { width: 800, height: 48, picture: null };

function resizeOverview() {
  strip.width = view.width;
  fit(overview, strip.width, strip.height);
  strip.picture = null;
}

function overviewX(time) {
  return clamp(time / calls.last, 0, 1) * strip.width;
}

function paintOverview() {
  const brush = overview.getContext("2d");
  const scale = devicePixelRatio || 1;
  if (!strip.picture) strip.picture = overviewPicture(scale);
  brush.setTransform(1, 0, 0, 1, 0, 0);
  brush.drawImage(strip.picture, 0, 0);
  brush.setTransform(scale, 0, 0, scale, 0, 0);
  const left = overviewX(view.from), right = Math.max(overviewX(view.to), left + 3);
  brush.globalAlpha = 0.5;
  brush.fillStyle = colours.page;
  brush.fillRect(0, 0, left, strip.height);
  brush.fillRect(right, 0, strip.width - right, strip.height);
  brush.globalAlpha = 1;
  brush.strokeStyle = colours.accent;
  brush.lineWidth = 2;
  brush.strokeRect(left + 1, 1, right - left - 2, strip.height - 2);
}

function overviewPicture(scale) {
  const picture = element("canvas", { width: overview.width, height: overview.height });
  const brush = picture.getContext("2d");
  brush.scale(scale, scale);
  brush.fillStyle = colours.well;
  brush.fillRect(0, 0, strip.width, strip.height);
  brush.fillStyle = hatch.fault;
  for (const band of bands) {
    const left = overviewX(band.start);
    brush.fillRect(left, 0, Math.max(overviewX(band.end) - left, 1), strip.height);
  }
  paintHistogram(brush);
  brush.fillStyle = colours.witness;
  for (const anomaly of anomalies) {
    if (!anomaly.calls.length) continue;
    const x = overviewX(anomaly.end);
    brush.fillRect(x - 0.5, 0, 1.5, strip.height);
    brush.beginPath();
    brush.moveTo(x - 4, 0);
    brush.lineTo(x + 4, 0);
    brush.lineTo(x, 7);
    brush.fill();
  }
  return picture;
}

function paintHistogram(brush) {
  const columns = Math.max(1, Math.floor(strip.width / 2));
  const counts = [null, new Uint32Array(columns), new Uint32Array(columns), new Uint32Array(columns)];
  for (let call = 0; call < calls.count; call++) {
    counts[calls.type[call]][Math.min(columns - 1, Math.floor((calls.start[call] / calls.last) * columns))]++;
  }
  let most = 1;
  for (let at = 0; at < columns; at++) most = Math.max(most, counts[1][at] + counts[2][at] + counts[3][at]);
  for (let at = 0; at < columns; at++) {
    let y = strip.height;
    for (const [type, name] of [[OK, "ok"], [FAIL, "fail"], [INFO, "info"]]) {
      const height = (counts[type][at] / most) * (strip.height - 10);
      brush.fillStyle = colours[name];
      brush.fillRect(at * 2, y - height, 1.6, height);
      y -= height;
    }
  }
}
