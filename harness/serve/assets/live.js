// Follows one run: asks for its progress each second and writes it as text, never as markup.
"use strict";

const path = document.querySelector(".live").dataset.path;
const at = (id) => document.getElementById(id);

function row(name, counts) {
  const line = document.createElement("tr");
  for (const value of [name, counts.ok || 0, counts.fail || 0, counts.info || 0]) {
    const cell = document.createElement("td");
    cell.textContent = String(value);
    line.append(cell);
  }
  return line;
}

function show(run) {
  const names = Object.keys(run.operations || {}).sort();
  const nodes = Object.entries(run.nodes || {}).map(([node, state]) => node + " " + state);
  at("phase").textContent = run.verdict ? "Over: " + run.verdict : run.phase || "Starting";
  at("clock").textContent = run.time_s ? run.time_s.toFixed(0) + " s of " + run.limit_s + " s" : "";
  at("operations").replaceChildren(...names.map((name) => row(name, run.operations[name])));
  at("faults").textContent = "Faults in force: " + ((run.faults || []).join(", ") || "none");
  at("nodes").textContent = nodes.length ? "Nodes: " + nodes.join(", ") : "";
  at("error").textContent = run.last_error ? "Last error: " + run.last_error : "";
}

async function follow() {
  try {
    const answer = await fetch("/progress/" + path);
    const run = await answer.json();
    show(run);
    if (run.verdict) {
      location.href = "/run/" + path + "/";
      return;
    }
  } catch (error) {
    at("error").textContent = "The server does not answer.";
  }
  setTimeout(follow, 1000);
}

follow();
