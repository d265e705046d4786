// Rows of a list that are selected, and the bar with their number and what can be done to them. Rows may be exchanged.

import {$, fill} from "./dom.js";

const bar = $(".selected"), form = bar?.closest("form");
const boxes = () => [...form?.elements ?? []].filter(element => element.name === "id");

/** The values of the selected rows. */
export const selected = () => boxes().filter(box => box.checked).map(box => box.value);

/** Select the rows with these values, and no others. */
export function select(values) {
  boxes().forEach(box => { box.checked = values.includes(box.value); });
  showSelection();
}

export function showSelection() {
  if (!bar) return;
  const count = selected().length, all = form.elements.all.checked;
  const page = $("[data-select-page]", form), words = $("[data-selected]", bar);
  page.checked = count > 0 && count === boxes().length;
  page.indeterminate = count > 0 && !page.checked;
  words.textContent = fill(words.dataset.selected, {count});
  words.hidden = all;
  bar.classList.toggle("shown", count > 0 || all);
}

addEventListener("change", ({target}) => {
  if (!bar || target.form !== form) return;
  if (target.matches("[data-select-page]")) boxes().forEach(box => { box.checked = target.checked; });
  showSelection();
});
addEventListener("pageshow", showSelection);
