// Small tools for the page. Text always goes in as text: nothing here makes HTML from strings.

const byId = (id) => document.getElementById(id);

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function readJson(id) {
  return JSON.parse(byId(id).textContent);
}

function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}

/** Microseconds as a moment of the run, with as many digits as `step` (µs) can tell apart. */
function moment(us, step = 1000) {
  if (!raw.timed) return `record ${Math.round(us)}`;
  const digits = step >= 1e6 ? 0 : step >= 1e5 ? 1 : step >= 1e4 ? 2 : step >= 1e3 ? 3 : 6;
  return `${(us / 1e6).toFixed(digits)} s`;
}

function length(us) {
  if (us < 1000) return `${Math.round(us)} µs`;
  if (us < 1e6) return `${(us / 1e3).toFixed(us < 1e4 ? 2 : 1)} ms`;
  return `${(us / 1e6).toFixed(2)} s`;
}

async function copyText(source, button) {
  let done = true;
  try {
    await navigator.clipboard.writeText(source.textContent);
  } catch {
    // A page opened from a disk may have no clipboard: select, so that one key copies.
    const range = document.createRange();
    range.selectNodeContents(source);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    done = document.execCommand("copy");
  }
  const before = button.textContent;
  button.textContent = done ? "Copied" : "Selected";
  setTimeout(() => { button.textContent = before; }, 1500);
}
