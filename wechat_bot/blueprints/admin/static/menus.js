// The editor of the menu: what is typed is checked and shown at once; buttons are moved by dragging and by keys.

import {$, $$, fill} from "./dom.js";

const encoder = new TextEncoder();
const form = $("#menu-form"), at = form.dataset.at;

// Fields

function problemOf(input) {
  const value = input.value.trim(), used = encoder.encode(value).length, limit = Number(input.dataset.limit);
  if (!value) return input.dataset.blank ?? "";
  if (limit && used > limit) return fill(input.dataset.over, {used, limit});
  if (input.dataset.bad && !/^https?:\/\/[^\s/?#]+(?:[/?#]\S*)?$/i.test(value)) return input.dataset.bad;
  return "";
}

function count(input) {
  const counter = $(`[data-used="${input.name}"]`);
  if (counter) counter.textContent = fill(counter.dataset.words, {used: encoder.encode(input.value.trim()).length, limit: input.dataset.limit});
}

function check(input) {
  const found = problemOf(input), shown = $(`#${input.id}-problem`);
  shown.textContent = found;
  shown.classList.remove("is-advice");
  input.toggleAttribute("aria-invalid", Boolean(found));
  if (found) input.setAttribute("aria-invalid", "true");
}

$$("input[data-limit]", form).forEach(input => {
  count(input);
  if (input.value !== input.defaultValue) check(input);  // typed before the script was there
  input.addEventListener("input", () => { count(input); check(input); });
});
$("[name=name]", form)?.addEventListener("input", event => {
  $$(`[data-name="${at}"]`).filter(name => name.closest("#menu-form, [data-phone=draft]"))
    .forEach(name => { name.textContent = event.target.value; });
});

let sent = false, typed = false;
form.addEventListener("input", () => { typed = true; });
document.addEventListener("submit", () => { sent = true; });
addEventListener("beforeunload", event => { if (typed && !sent) event.preventDefault(); });

// Moving

function step(value) {
  const input = document.createElement("input");
  Object.assign(input, {type: "hidden", name: "do", value});
  form.append(input);
  form.requestSubmit();
}

const ARROWS = {ArrowLeft: "left", ArrowRight: "right", ArrowUp: "up", ArrowDown: "down"};
form.addEventListener("keydown", event => {
  const slot = event.target.closest("[data-place]");
  if (!slot || !event.altKey || !ARROWS[event.key]) return;
  event.preventDefault();
  step(`step:${slot.dataset.place}>${ARROWS[event.key]}`);
});

const parts = place => place.split(".").map(Number);

// Places count as if the dragged button had been taken out already.
function landing(source, target) {
  const [top, sub] = parts(source), [column, row] = parts(target);
  if (sub === undefined) return column > top ? [column - 1, row] : [column, row];
  return column === top && row > sub ? [column, row - 1] : [column, row];
}

let dragged = null;
$$("[data-place]", form).forEach(slot => {
  slot.draggable = true;
  slot.addEventListener("dragstart", event => {
    dragged = slot;
    slot.classList.add("dragged");
    event.dataTransfer.effectAllowed = "move";
    event.dataTransfer.setData("text/plain", slot.dataset.place);
  });
  slot.addEventListener("dragend", () => { slot.classList.remove("dragged"); dragged = null; });
});
$$("[data-place], [data-end]", form).forEach(slot => {
  slot.addEventListener("dragover", event => {
    if (!dragged || dragged === slot) return;
    event.preventDefault();
    slot.classList.add("over");
  });
  slot.addEventListener("dragleave", () => slot.classList.remove("over"));
  slot.addEventListener("drop", event => {
    event.preventDefault();
    slot.classList.remove("over");
    if (!dragged || dragged === slot) return;
    const source = dragged.dataset.place;
    const to = landing(source, slot.dataset.place ?? slot.dataset.end).filter(part => part !== undefined);
    step(`move:${source}>${to.join(".")}`);
  });
});

// After a step the button has the focus again, or the name of a new one; not before the browser has gone to the anchor.
addEventListener("load", () => {
  if (location.hash !== "#button") return;
  const name = $("[name=name]", form);
  (name?.value === "" ? name : $(`[data-place="${at}"]`))?.focus({preventScroll: true});
});
