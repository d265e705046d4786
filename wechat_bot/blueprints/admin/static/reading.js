// Which conversation is open beside the list. It is exchanged without loading the page.

import {$, $$, sentenceOf} from "./dom.js";
import {openConversation} from "./conversation.js";
import {nextRow, openRow, remember} from "./rows.js";

/** The parameters of the list: all that do not belong to the conversation. */
function listOf(url) {
  const query = new URLSearchParams(url.search);
  for (const name of ["before", "after", "at", "find", "date"]) query.delete(name);
  query.sort();
  return String(query);
}

let list = listOf(new URL(location.href));  // which is beside the conversation

const load = (path, push = null) => htmx.ajax("GET", path, {source: "#reading", target: "#reading", swap: "innerHTML", push});

function show() {
  const follower = $(".talk").dataset.follower;
  $(".desk").classList.toggle("reading", Boolean(follower));
  $$("[data-rows] [data-row]").forEach(row => showOpen(row.closest("[data-rows] > *"), row.pathname === location.pathname));
  remember();
  openConversation();
}

function showOpen(item, isOpen) {
  item.classList.toggle("current", isOpen);
  if (!isOpen) return;
  item.classList.remove("unread");
  $(".dot", item)?.remove();
}

/** Focus the first of the elements that is shown, if what had the focus is gone. */
function keepFocus(...elements) {
  const focused = document.activeElement;
  if (focused && focused !== document.body && focused.checkVisibility()) return;
  elements.find(element => element?.checkVisibility())?.focus({preventScroll: true});
}

/** Show that no conversation is open, beside the list or, on a phone, on the list. */
function close(row = null) {
  const nothing = $("#nothing-open");
  $("#reading").replaceChildren(nothing.content.cloneNode(true));
  document.title = nothing.dataset.title;
  show();
  keepFocus(row, $(".talk"), $("#main"));
}

function leave(row) {
  history.pushState({htmx: true}, "", $(".talk-back").href);
  close(row);
}

// The next conversation after one that is done

document.addEventListener("conversation:done", ({detail}) => {
  const next = nextRow();  // before the list is renewed
  document.dispatchEvent(new CustomEvent("conversation:changed", {detail}));
  if (String(detail.follower) === $(".talk").dataset.follower) goOn(next);
});

async function goOn(row) {
  if (!row) return leave();
  await load(row.href, row.href);
  $(".log")?.focus({preventScroll: true});
}

// Back and forward

document.addEventListener("htmx:before:history:restore", event => {
  if (event.defaultPrevented) return;
  event.preventDefault();
  const url = new URL(event.detail.path, location.href);
  if (listOf(url) !== list) location.reload();
  else if (/\/\d+$/.test(url.pathname)) load(event.detail.path);
  else close();
});

for (const change of ["push", "replace"])
  document.addEventListener(`htmx:after:history:${change}`, () => { list = listOf(new URL(location.href)); });

document.addEventListener("click", event => {
  if (!event.target.closest(".talk-back") || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  leave(openRow());
});

// What a request has changed, and what went wrong

const said = $("#announcement");
let silence = 0;

function say(words) {
  said.textContent = words;
  fade();
}

function fade() {
  clearTimeout(silence);
  silence = setTimeout(() => { said.textContent = ""; }, 8000);
}

document.addEventListener("htmx:config:request", ({detail: {ctx}}) => { ctx.request.headers.Accept = "text/plain"; });

document.addEventListener("htmx:after:request", event => {
  const {response, text} = event.detail.ctx;
  if (response.status < 400) return;
  event.preventDefault();
  if (response.status === 401) location.reload();
  else say(sentenceOf(text));
});

document.addEventListener("htmx:error", () => say(said.dataset.lost));

document.addEventListener("htmx:after:swap", ({detail: {ctx}}) => {
  const form = ctx.sourceElement?.matches?.("form[action*='/followers/']") ? ctx.sourceElement : null;
  for (const changed of [form, $("#assignee")?.form]) changed?.reset();
  show();
  keepFocus(form && $("#tag"), $(".log"), $(".talk"));
  fade();
});

show();
