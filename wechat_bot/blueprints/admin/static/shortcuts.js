// Keyboard shortcuts.

import {$, $$, body, writing} from "./dom.js";
import {closeDrawer, openPalette} from "./dialogs.js";
import {moveRow} from "./rows.js";

let prefix = "";

function press(key) {
  const target = $$(`[data-key="${CSS.escape(key)}"]`).find(element => element.offsetParent !== null || element.closest(".rail"));
  if (!target) return false;
  if (target.matches("input, textarea")) target.focus();
  else target.click();
  return true;
}

const KEYS = {
  "/": () => $(".search input").focus(),
  "?": () => $("#shortcuts").showModal(),
  "j": () => moveRow(1),
  "k": () => moveRow(-1),
  "r": () => $("#way-reply")?.click(),
  "n": () => $("#way-note")?.click(),
  "f": openFind,
  "t": () => openCard("#tag"),
};

document.addEventListener("keydown", event => {
  const command = event.ctrlKey || event.metaKey;
  if (command && event.key.toLowerCase() === "k") { event.preventDefault(); openPalette(); return; }
  if (command && event.key === "Enter") { submit(event); return; }
  if (event.key === "Escape") { closeAll(event); return; }
  if (command || event.altKey || event.isComposing || writing(event.target) || $("dialog[open]")) return;
  if (body.dataset.shortcuts !== "on") return;
  const key = prefix ? `${prefix} ${event.key}` : event.key;
  prefix = event.key === "g" && !prefix ? "g" : "";
  if (KEYS[key]) KEYS[key]();
  else if (!press(key)) return;
  event.preventDefault();
});

/** Submit the form that is being written; with Shift by its button `then`, if it has one. */
function submit({target: {form}, shiftKey, isComposing}) {
  if (form && !isComposing) form.requestSubmit(shiftKey ? form.elements.then : undefined);
}

/** Focus the field that searches the open conversation. */
function openFind() {
  const field = $("#find");
  if (!field) return;
  field.closest("details").open = true;
  field.focus();
}

/** Focus a field of the follower's card, which narrow screens show on demand. */
function openCard(selector) {
  const field = $(selector);
  if (field && !field.checkVisibility()) location.hash = "card";
  field?.focus();
}

/** Give the focus to what the field belongs to, so that the next key has its meaning there. */
function leaveField(field) {
  const around = field.closest(".talk") ? $(".log") : $("#main");
  field.blur();
  around?.focus({preventScroll: true});
}

function closeAll(event) {
  if (writing(event.target)) leaveField(event.target);
  $$("details.menu[open]").forEach(menu => { menu.open = false; $("summary", menu).focus(); });
  closeDrawer();
  if (location.hash === "#card") $(".card-close").click();
}
