"use strict";
// Which runs the table shows: those of the outcomes that are ticked and that hold every word of
// the search. Without this script the whole table is there.
const rows = [...document.querySelectorAll("tbody tr[data-outcome]")];
const ticks = [...document.querySelectorAll("input[name=outcome]")];
const search = document.getElementById("search");
const tally = document.getElementById("tally");

function choose() {
  const outcomes = new Set(ticks.filter((tick) => tick.checked).map((tick) => tick.value));
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const row of rows) {
    const text = row.textContent.toLowerCase();
    const wanted = outcomes.has(row.dataset.outcome) && words.every((word) => text.includes(word));
    row.hidden = !wanted;
    shown += wanted;
  }
  tally.textContent = `${shown} of ${rows.length} runs`;
}

document.getElementById("filter").hidden = false;
for (const tick of ticks) tick.addEventListener("change", choose);
search.addEventListener("input", choose);
choose();
