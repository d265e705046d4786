// The list of conversations: rows change in place, the order only on demand; actions on many conversations.

import {$, $$, parse, request} from "./dom.js";
import {watch} from "./live.js";
import {select, selected, showSelection} from "./selection.js";

const inbox = $(".inbox");
const rows = () => $$(".inbox-list > li", inbox);
const rowOf = follower => $(`.inbox-list > li[data-follower="${follower}"]`, inbox);

// Rows that look different now, and the bar that tells how many others came

async function refreshRows() {
  $$(".inbox-list > .gone:not(.current)", inbox).forEach(remove);
  const query = new URLSearchParams($("#inbox-body").dataset.query);
  rows().forEach(row => query.append("row", `${row.dataset.follower}.${row.dataset.version}`));
  for (const fresh of parse(await (await request(`${inbox.dataset.changes}?${query}`)).text())) {
    const row = fresh.matches("li") ? rowOf(fresh.dataset.follower) : $("#inbox-news");
    if (row) replace(row, fresh);
  }
}

function replace(row, fresh) {
  if (fresh.matches(".gone") && !row.matches(".current")) { remove(row); return; }
  const state = remember(row);
  row.replaceWith(fresh);
  restore(state);
  window.htmx.process(fresh);
}

function remove(row) {
  const neighbour = row.nextElementSibling ?? row.previousElementSibling;
  if (row.contains(document.activeElement)) $("[data-row]", neighbour ?? inbox)?.focus();
  row.remove();
  showSelection();
}

// The whole list, in place: what is chosen, focused and scrolled to stays

async function refreshList() {
  const body = $("#inbox-body"), state = remember(body);
  const [fresh] = parse(await (await request(body.dataset.url)).text());
  body.replaceWith(fresh);
  restore(state);
  window.htmx.process(fresh);
  $("#inbox-news").hidden = true;
}

function remember(part) {
  const focused = document.activeElement, row = part.contains(focused) && focused.closest("li");
  return {
    chosen: selected(),
    reading: $(".inbox-list > li.current", inbox)?.dataset.follower,
    top: $(".inbox-list", inbox)?.scrollTop,
    focused: row && {follower: row.dataset.follower, box: focused.matches("[name=id]")},
  };
}

function restore({chosen, reading, top, focused}) {
  rowOf(reading)?.classList.add("current");
  if (top) $(".inbox-list", inbox)?.scrollTo({top, behavior: "instant"});
  if (focused) $(focused.box ? "[name=id]" : "[data-row]", rowOf(focused.follower) ?? inbox)?.focus({preventScroll: true});
  select(chosen);
}

// Actions on the selected conversations

const form = $("#bulk"), matching = form && $("[data-matching]", form);

async function countMatching() {
  if (matching.textContent) return;
  const {count} = await (await request(`${form.dataset.count}?${form.elements.query.value}`)).json();
  matching.textContent = count;
}

form?.addEventListener("htmx:after:swap", () => {
  $$("details.menu[open]", form).forEach(menu => { menu.open = false; });
  matching.textContent = "";
  form.reset();
  showSelection();
  refreshRows().catch(() => {});
});
inbox.addEventListener("change", event => { if (form && event.target.form === form) countMatching().catch(() => {}); });

// Polling

let polls = 0, due = 0;

watch(async (arrived, state) => {
  $$("[data-tab-count]", inbox).forEach(badge => {
    const count = state[badge.dataset.tabCount];
    badge.textContent = count > 99 ? "99+" : count || "";
  });
  // Colleagues change rows, too; and what has just arrived may be in the list a moment later.
  polls += 1;
  if (arrived) due = polls + 1;
  if (polls <= due || polls % 4 === 0) await refreshRows();
});
document.addEventListener("conversation:changed", () => refreshRows().catch(() => {}));
inbox.addEventListener("click", event => {
  if (event.target.closest("#inbox-news")) { event.preventDefault(); refreshList().catch(() => location.reload()); }
});
