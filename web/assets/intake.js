// Intake: check of the ID number, suggestions, draft, reader guard, keyboard.
import { composing, settled } from "./app.js";

const form = document.querySelector("#intake");
const input = (name) => form.querySelector(`[name="${name}"]`);
const token = input("form_token").value;

const send = (path, fields) => fetch(path, {
  method: "POST", credentials: "same-origin", body: new URLSearchParams({ form_token: token, ...fields }),
});

// ID number: GB 11643, told when the field is left.
const WEIGHTS = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
function idProblem(text) {
  const id = text.normalize("NFKC").replace(/[\s-]/g, "").toUpperCase();
  if (id === "" || /^\d{15}$/.test(id)) return "";
  if (id.length !== 18) return "身份证号应为 18 位（旧号 15 位）";
  if (!/^\d{17}[\dX]$/.test(id)) return "身份证号里有不该有的字符";
  const sum = WEIGHTS.reduce((all, weight, i) => all + weight * Number(id[i]), 0);
  return "10X98765432"[sum % 11] === id[17] ? "" : "身份证号校验不对，请逐位核对";
}
function idWords(text) {
  const id = text.normalize("NFKC").replace(/[\s-]/g, "").toUpperCase();
  if (id.length !== 18) return "";
  return `${Number(id[16]) % 2 ? "男" : "女"} · ${id.slice(6, 10)}-${id.slice(10, 12)}-${id.slice(12, 14)} 出生`;
}
const id = input("id");
const says = document.querySelector("#id-says");
id.addEventListener("change", () => {
  const problem = idProblem(id.value);
  says.textContent = problem || idWords(id.value);
  says.classList.toggle("bad", problem !== "");
  id.closest(".field").classList.toggle("wrong", problem !== "");
  if (problem) id.setAttribute("aria-invalid", "true"); else id.removeAttribute("aria-invalid");
});

// Suggestions are the server's own buttons; choosing one is an ordinary submit.
async function suggest(of, text) {
  const box = document.querySelector(`#${of}`);
  if (!box) return;
  if (of === "residents" && text.trim().length < 1) { box.replaceChildren(); return; }
  const answer = await send("/intake/part", { of, q: text });
  if (!answer.ok || answer.redirected) return;
  const part = new DOMParser().parseFromString(await answer.text(), "text/html");
  box.replaceChildren(...part.body.childNodes);
}
const query = document.querySelector("[data-items]");
if (query) settled(query, 150, (text) => suggest("items", text));
settled(input("name"), 200, (text) => suggest("residents", text));
settled(id, 200, (text) => { if (text.trim().length >= 4) suggest("residents", text); });

// Keyboard: Enter goes on and never submits; Alt+digit picks; a card reader that types a number
// and Enter is only typing.
const stops = () => [...form.querySelectorAll("input,select,textarea,button.go")]
  .filter((node) => node.type !== "hidden" && !node.disabled && node.offsetParent !== null);
let lastKey = 0;
let burst = 0;
form.addEventListener("keydown", (event) => {
  if (composing(event)) return;
  const now = performance.now();
  burst = event.key.length === 1 && now - lastKey < 35 ? burst + 1 : event.key.length === 1 ? 1 : burst;
  const read = event.code === "Enter" && burst >= 12 && now - lastKey < 60;
  lastKey = now;
  if (event.altKey && /^Digit[1-8]$/.test(event.code)) {
    const list = event.target.name === "item_query" || !document.querySelector("#residents [data-pick]") ? "#items" : "#residents";
    const pick = document.querySelectorAll(`${list} [data-pick]`)[Number(event.code.slice(5)) - 1];
    if (pick) { event.preventDefault(); pick.click(); }
  } else if (event.code === "Enter" && !event.ctrlKey && event.target.matches("input,select")) {
    event.preventDefault();
    if (read) card(event.target);
    if (event.target.name === "item_query") {
      const first = document.querySelector("#items [data-pick]");
      if (first && event.target.value.trim() !== "") { first.click(); return; }
    }
    const all = stops();
    const next = all[all.indexOf(event.target) + 1];
    if (next) { next.focus(); if (next.select) next.select(); }
  }
});

/** Sorts out what a reader typed: `name|sex|…|number`, tabs, or the number alone. */
function card(target) {
  const text = target.value.replace(/\\u([0-9a-fA-F]{4})/g, (_, hex) => String.fromCharCode(parseInt(hex, 16)));
  const parts = text.split(/[|\t]/).map((part) => part.trim());
  const number = parts.find((part) => /^\d{17}[\dXx]$/.test(part));
  if (!number) return;
  const name = parts.length > 1 ? parts[0] : "";
  target.value = "";
  id.value = number;
  if (name && name !== number) input("name").value = name;
  id.dispatchEvent(new Event("change"));
  id.dispatchEvent(new Event("input"));
}

// The draft is kept as it grows: at most a second is lost.
const state = document.querySelector("#draft-state");
let timer = 0;
let sent = "";
async function keep() {
  const fields = new URLSearchParams([...new FormData(form)].filter(([, value]) => typeof value === "string"));
  const text = fields.toString();
  if (text === sent) return;
  sent = text;
  try {
    const answer = await fetch("/intake/draft", { method: "POST", credentials: "same-origin", body: fields });
    state.textContent = answer.ok && !answer.redirected ? `草稿已存 ${await answer.text()}` : "草稿没有存住，请重新登录后再试";
  } catch {
    state.textContent = "草稿没有存住：本机服务没有应答";
  }
}
for (const name of ["input", "change"]) {
  form.addEventListener(name, () => { clearTimeout(timer); timer = setTimeout(keep, 700); });
}
form.addEventListener("submit", () => clearTimeout(timer));

const mandate = document.querySelector(".mandate");
const proxy = () => { mandate.hidden = form.querySelector("[name=proxy]:checked")?.value !== "yes"; };
form.querySelectorAll("[name=proxy]").forEach((radio) => radio.addEventListener("change", proxy));
proxy();
