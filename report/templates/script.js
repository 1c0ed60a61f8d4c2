// Explanations at points, for mouse, touch and keyboard. Without this script the browser shows the same as titles.
const box = document.getElementById("tip");
function show(mark, event) {
  // Marks may lie on one another: all of those below the pointer are explained.
  const below = event.clientX === undefined ? [] : document.elementsFromPoint(event.clientX, event.clientY);
  const marks = new Set([mark, ...below.map(item => item.closest(".tip")).filter(item => item)]);
  box.textContent = [...marks].map(item => item.dataset.tip).join("\n");
  box.hidden = false;
  const at = mark.getBoundingClientRect(), own = box.getBoundingClientRect();
  const left = Math.min(at.left + at.width / 2 + 10, innerWidth - own.width - 8);
  const above = at.top - own.height - 8;
  box.style.left = Math.max(8, left) + "px";
  box.style.top = (above > 8 ? above : at.bottom + 8) + "px";
}
function hide() { box.hidden = true; }
for (const mark of document.querySelectorAll(".tip")) {
  mark.querySelector("title")?.remove();
  mark.setAttribute("role", "img");
  mark.setAttribute("aria-label", mark.dataset.tip);
  for (const name of ["pointerenter", "focus", "click"]) mark.addEventListener(name, event => show(mark, event));
  for (const name of ["pointerleave", "blur"]) mark.addEventListener(name, hide);
}
addEventListener("keydown", event => { if (event.key === "Escape") hide(); });
addEventListener("scroll", hide, {passive: true});
// A link to a folded design opens it; paper shows all of them.
function unfold() { document.getElementById(decodeURIComponent(location.hash.slice(1)))?.setAttribute("open", ""); }
addEventListener("hashchange", unfold);
unfold();
let folded = [];
addEventListener("beforeprint", () => {
  folded = [...document.querySelectorAll("details:not([open])")];
  for (const item of folded) item.open = true;
});
addEventListener("afterprint", () => { for (const item of folded) item.open = false; });
