// Rules are dragged to another place in the list.

import {$, $$} from "./dom.js";

let dragged = null;

for (const list of $$("[data-rules]")) for (const rule of $$(".rule:has(.order)", list)) {
  rule.draggable = true;
  rule.addEventListener("dragstart", () => { dragged = rule; });
  rule.addEventListener("dragend", () => { dragged = null; $$(".rule.over").forEach(other => other.classList.remove("over")); });
  for (const name of ["dragover", "dragleave", "drop"]) rule.addEventListener(name, event => {
    if (!dragged || dragged === rule || dragged.parentElement !== list) return;
    event.preventDefault();
    rule.classList.toggle("over", name === "dragover");
    if (name !== "drop") return;
    const button = $(".order button:not([disabled])", dragged);
    button.value = rule.dataset.position;
    button.form.requestSubmit(button);
  });
}
