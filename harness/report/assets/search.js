// Search: `1234` (an index, a key or a number in a value), `key:7`, `value:…`, `f:read`,
// `process:3`, `node:n1`, `type:info`, `error:…`, or any text; several words must all match.
// Texts are matched once each in the table, so a search costs one comparison a call.

const searchBox = byId("search");
let matchAt = -1;
let searched = "";

function textMask(test) {
  return Uint8Array.from(calls.texts, (text) => (text !== "" && test(text) ? 1 : 0));
}

function termTest(term) {
  const [, field, rest] = /^(?:(key|value|f|process|p|node|type|error|index):)?(.*)$/s.exec(term);
  const wanted = rest.toLowerCase();
  const has = (text) => text.toLowerCase().includes(wanted);
  const same = (text) => text.toLowerCase() === wanted;
  const names = calls.fNames.map(has);
  const byMask = (mask, ...columns) => (call) => columns.some((column) => mask[column[call]]);
  const number = Number(rest.replace(/^#/, ""));
  const byIndex = (call) => calls.index[call] === number || calls.done[call] === number;
  if (field === "key") return byMask(textMask(same), calls.key);
  if (field === "value") return byMask(textMask(has), calls.asked, calls.answered);
  if (field === "node") return byMask(textMask(same), calls.node);
  if (field === "error") return byMask(textMask(has), calls.error);
  if (field === "f") return (call) => names[calls.f[call]];
  if (field === "type") return (call) => TYPES[calls.type[call]] === wanted;
  if (field === "process" || field === "p") return (call) => calls.process[call] === number;
  if (field === "index" || /^#\d+$/.test(rest)) return byIndex;
  if (/^-?\d+$/.test(rest)) {
    const token = new RegExp(`(^|[^\\d-])${rest}($|\\D)`);
    const anywhere = byMask(textMask((text) => token.test(text)), calls.key, calls.asked, calls.answered);
    return (call) => byIndex(call) || anywhere(call);
  }
  const anywhere = byMask(textMask(has), calls.key, calls.asked, calls.answered, calls.error, calls.node);
  return (call) => names[calls.f[call]] || anywhere(call) || TYPES[calls.type[call]] === wanted;
}

function runSearch(query, { move = true } = {}) {
  searchBox.value = searched = query;
  const terms = query.trim().split(/\s+/).filter(Boolean);
  matchAt = -1;
  if (!terms.length) {
    view.matches = view.isMatch = null;
  } else {
    const tests = terms.map(termTest);
    const found = [];
    view.isMatch = new Uint8Array(calls.count);
    for (let call = 0; call < calls.count; call++) {
      if (tests.every((test) => test(call))) {
        view.isMatch[call] = 1;
        found.push(call);
      }
    }
    view.matches = found;
    const index = /^#?(\d+)$/.exec(terms[0]);
    const exact = index && callOfIndex.has(Number(index[1])) ? callOfIndex.get(Number(index[1])) : -1;
    if (move && found.length) stepMatch(exact >= 0 ? found.indexOf(exact) : 0, true);
  }
  tellMatches();
  repaint();
}

function stepMatch(by, absolute = false) {
  const found = view.matches;
  if (!found || !found.length) return;
  matchAt = ((absolute ? by : matchAt + by) + found.length) % found.length;
  goTo(found[matchAt]);
  tellMatches();
}

function tellMatches() {
  const count = view.matches ? view.matches.length : 0;
  byId("match-previous").disabled = count === 0; // the other submits: off, Enter would do nothing
  const shown = count.toLocaleString("en");
  byId("match-count").textContent = !view.matches ? "" : !count ? "no match"
    : matchAt < 0 ? `${shown} found` : `${(matchAt + 1).toLocaleString("en")} of ${shown}`;
}

function listenToSearch() {
  let waiting = 0;
  searchBox.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => runSearch(searchBox.value, { move: false }), 200);
  });
  byId("search-form").addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(waiting);
    if (searched !== searchBox.value || !view.matches || matchAt < 0) runSearch(searchBox.value);
    else stepMatch(1);
  });
  byId("match-previous").addEventListener("click", () => stepMatch(-1));
  searchBox.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.shiftKey) {
      event.preventDefault();
      stepMatch(-1);
    }
  });
}
