// The rows of a list: which one is current, and the way to the next one.

import {$$} from "./dom.js";

const rows = () => $$("[data-rows] [data-row]");
const isOpen = row => row.pathname === location.pathname;
let place = 0, openPlace = 0;  // of the last current row and of the last open one, which may have left the list

function current(all) {
  const focused = all.indexOf(document.activeElement);
  return focused >= 0 ? focused : all.findIndex(row => isOpen(row) || row.closest(".current"));
}

/** Remember where one is, so that the way goes on from there when the row has left the list. */
export function remember() {
  const all = rows(), at = current(all), open = all.findIndex(isOpen);
  if (at >= 0) place = at;
  if (open >= 0) openPlace = open;
}

/** Focus the next row, or the one before. */
export function moveRow(step) {
  const all = rows(), at = current(all);
  const wanted = at >= 0 ? at + step : step > 0 ? place : place - 1;
  const row = all[Math.min(Math.max(wanted, 0), all.length - 1)];
  row?.focus();
  row?.scrollIntoView({block: "nearest"});
}

/** The row of the open conversation. */
export const openRow = () => rows().find(isOpen);

/** The row after the open one, else the first; none if there is no other one. */
export function nextRow() {
  const all = rows(), at = all.findIndex(isOpen), others = all.filter(row => !isOpen(row));
  return others[at >= 0 ? at : openPlace] ?? others[0];
}

document.addEventListener("focusin", remember);
