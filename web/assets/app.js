// Keys, live lists and printing. Everything here is a convenience: without it forms and links do
// the same.

/** Whether an input method is composing: its keys are not ours. */
export const composing = (event) => event.isComposing || event.keyCode === 229;

/** Whether a person is typing into something. */
const typing = (node) => node instanceof HTMLElement && (node.matches("input,textarea,select") || node.isContentEditable);

document.addEventListener("keydown", (event) => {
  if (composing(event) || event.defaultPrevented) return;
  if (event.code === "F2") {
    const link = document.querySelector('[data-key="F2"]');
    if (link) { event.preventDefault(); location.assign(link.getAttribute("href")); }
  } else if (event.key === "/" && !typing(event.target) && !event.ctrlKey && !event.altKey && !event.metaKey) {
    const box = document.querySelector("#q") || document.querySelector('[data-key="/"]');
    if (box) { event.preventDefault(); box.focus(); box.select(); }
  } else if (event.code === "Enter" && event.ctrlKey) {
    const form = event.target instanceof Element ? event.target.closest("form") : null;
    const button = form && (form.querySelector("[data-submit]") || form.querySelector("button.go"));
    if (button && form.method === "post") { event.preventDefault(); form.requestSubmit(button); }
  } else if (event.code === "Escape") {
    document.querySelectorAll("details.menu[open]").forEach((menu) => { menu.open = false; menu.querySelector("summary").focus(); });
  }
});

/** Calls back when what was typed settles: after composition, never during it. */
export function settled(input, wait, then) {
  let timer = 0;
  let last = input.value;
  const ask = () => {
    clearTimeout(timer);
    timer = setTimeout(() => { if (input.value !== last) { last = input.value; then(input.value); } }, wait);
  };
  input.addEventListener("input", (event) => { if (!event.isComposing) ask(); });
  input.addEventListener("compositionend", ask);
}

// Lists follow the search box; the address stays that of a plain form.
for (const form of document.querySelectorAll("form[data-live]")) {
  const target = form.dataset.live;
  let turn = 0;
  const ask = async () => {
    const mine = ++turn;
    const address = `${form.getAttribute("action")}?${new URLSearchParams(new FormData(form))}`;
    const answer = await fetch(address, { credentials: "same-origin" });
    if (!answer.ok || answer.redirected || mine !== turn) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.querySelector(target);
    const old = document.querySelector(target);
    if (fresh && old) old.replaceWith(document.adoptNode(fresh));
    history.replaceState(null, "", address);
  };
  const box = form.querySelector("input[type=search]");
  if (box) settled(box, 160, ask);
  form.querySelectorAll("select").forEach((select) => select.addEventListener("change", ask));
}

for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => window.print());
}

// A double click sends once; the server would log one case anyway.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post") return;
  if (form.dataset.sent) { event.preventDefault(); return; }
  form.dataset.sent = "yes";
  setTimeout(() => { delete form.dataset.sent; }, 3000);
});
window.addEventListener("pageshow", () => document.querySelectorAll("form[data-sent]").forEach((form) => delete form.dataset.sent));

// What went wrong is read first.
document.querySelector(".problems")?.focus();
