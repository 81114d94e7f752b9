// The pictures of anomalies: where one does not fit, it begins where its last witness is seen, with
// the names of its rows beside it and a word that it scrolls.

function listenToDrawings() {
  document.querySelectorAll(".lanes .scroll").forEach((box) => {
    box.addEventListener("scroll", () => holdNames(box), { passive: true });
    new ResizeObserver(() => placeDrawing(box)).observe(box);
  });
}

function placeDrawing(box) {
  if (!box.clientWidth) return;
  const hides = box.scrollWidth > box.clientWidth + 1;
  box.parentElement.querySelector(".scrolls").hidden = !hides;
  if (hides && !box.dataset.placed) {
    const scale = box.scrollWidth / Number(box.dataset.width);
    const first = Number(box.dataset.first) * scale - 140 * scale, last = Number(box.dataset.last) * scale + 16;
    // All of the witness if it fits, else its end.
    box.scrollLeft = last - first <= box.clientWidth ? Math.max(last - box.clientWidth, 0) : last - box.clientWidth;
    box.dataset.placed = "yes";
  }
  holdNames(box);
}

function holdNames(box) {
  const scale = box.scrollWidth / Number(box.dataset.width);
  const by = box.scrollLeft / (scale || 1);
  const names = box.querySelector(".row-names");
  names.setAttribute("transform", `translate(${by.toFixed(1)} 0)`);
  names.classList.toggle("is-held", by > 1);
}
