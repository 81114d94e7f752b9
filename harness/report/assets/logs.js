// The log viewer: one file at a time, filtered, a bounded number of lines in the page.

const MOST_LINES = 1500;
const logFiles = readJson("logs-data");

function listenToLogs() {
  if (!logFiles.length) return;
  const choice = byId("log-file"), filter = byId("log-filter");
  logFiles.forEach((file, at) => choice.append(element("option", { value: String(at) }, `${file.node}/${file.name}`)));
  byId("log-tools").hidden = byId("log-lines").hidden = false;
  let waiting = 0;
  const show = () => showLog(logFiles[Number(choice.value)], filter.value);
  choice.addEventListener("change", show);
  filter.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(show, 150);
  });
  show();
}

function logTest(query) {
  const pattern = /^\/(.+)\/$/.exec(query);
  if (pattern) {
    try {
      const expression = new RegExp(pattern[1], "i");
      return (text) => expression.test(text);
    } catch {
      return () => false;
    }
  }
  const wanted = query.toLowerCase();
  return (text) => text.toLowerCase().includes(wanted);
}

function showLog(file, query) {
  const test = logTest(query.trim());
  const rows = [];
  let found = 0;
  file.text.forEach((text, at) => {
    if (at && file.first[at] !== file.first[at - 1] + 1 && rows.length) {
      rows.push(element("li", { className: "gap" },
        `${(file.first[at] - file.first[at - 1] - 1).toLocaleString("en")} lines left out here; the file has them`));
    }
    if (!test(text)) return;
    found++;
    if (found > MOST_LINES) return;
    const mark = { 2: "is-crash", 1: "is-near" }[file.mark[at]] ?? "";
    const when = file.time[at] === null ? `${file.first[at]}` : moment(file.time[at], 1000);
    rows.push(element("li", { className: mark },
      element("span", { className: "when" }, when), element("bdi", {}, text)));
  });
  if (found > MOST_LINES) {
    rows.push(element("li", { className: "gap" }, `${(found - MOST_LINES).toLocaleString("en")} more lines match; filter to see them`));
  }
  byId("log-lines").replaceChildren(...rows);
  byId("log-count").textContent = `${found.toLocaleString("en")} of ${file.total.toLocaleString("en")} lines`;
}
