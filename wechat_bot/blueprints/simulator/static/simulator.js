// The page shows what the server says: it is asked again and again, and what differs is put in place.
// Everything works without this file, with reloads.
"use strict";

const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
const sources = new WeakMap(); // what an element was made from, before somebody opened or filled it
let seen = "", turn = 0, going = 0, failures = 0, person = null;

document.documentElement.classList.add("js");
$$("[data-live] > *").forEach(element => sources.set(element, element.outerHTML));

// Shows an answer unless something else was asked for meanwhile; its address if it was shown.
async function show(url, options = {}) {
  const mine = turn;
  const response = await fetch(url, options);
  if (response.status === 204) return "";
  const html = await response.text();
  if (!response.headers.has("X-Seen")) {
    if (response.status === 401) { location.reload(); return ""; }
    throw new Error(new DOMParser().parseFromString(html, "text/html").querySelector("main")?.innerText ?? response.status);
  }
  if (mine !== turn) return "";
  seen = response.headers.get("X-Seen");
  const page = new DOMParser().parseFromString(html, "text/html");
  $$("[data-live]", page).forEach(fresh => place(document.getElementById(fresh.id), fresh));
  revealPerson();
  $$(".left input[name=follower], .left input[name=tab]").forEach(input => { input.value = $(`#tap [name=${input.name}]`, page).value; });
  return response.url;
}

// Children that are as they were stay, with what somebody typed and opened in them.
function place(region, fresh) {
  const atBottom = region.scrollHeight - region.scrollTop - region.clientHeight < 60;
  const newest = region.lastElementChild?.id;
  [...fresh.children].forEach((child, index) => {
    const present = region.children[index];
    if (present && sources.get(present) === child.outerHTML) return;
    const source = child.outerHTML;
    if (present?.id === child.id) $$("details[id][open]", present).forEach(each => { const same = child.querySelector(`[id="${each.id}"]`); if (same) same.open = true; });
    const focused = present?.contains(document.activeElement) && document.activeElement.id;
    const element = document.importNode(child, true);
    sources.set(element, source);
    if (present) present.replaceWith(element); else region.append(element);
    if (focused) document.getElementById(focused)?.focus();
  });
  while (region.children.length > fresh.children.length) region.lastElementChild.remove();
  if (region.id === "log" && (atBottom || region.lastElementChild?.id !== newest)) region.scrollTop = region.scrollHeight;
}

async function go(url, options) {
  turn += 1;
  going += 1;
  try {
    const address = await show(url, options);
    if (address) history.pushState(null, "", address);
    complain("");
  } catch (error) {
    complain(error.message);
  }
  going -= 1;
}

// Scrolls the row of followers to the current one when another has become it.
function revealPerson() {
  const current = $("#people [aria-current]");
  if (current !== person) current.scrollIntoView({block: "nearest", inline: "center"});
  person = current;
}

// Closes what is open in the phone, but for what contains an element; the focus goes back to what opened it.
function closeDetails(except) {
  $$(".phone details[open]").filter(each => !each.contains(except)).forEach(each => {
    const focused = each.contains(document.activeElement);
    each.open = false;
    if (focused) $("summary", each).focus();
  });
}

function complain(words) {
  $("#lost").textContent = words;
  $("#lost").hidden = !words;
}

async function poll() {
  try {
    if (!going) await show(location.href, {headers: {"X-Seen": seen}});
    failures = 0;
  } catch (error) {
    failures += 1;
  }
  if (failures === 0 && $("#lost").textContent === $("#lost").dataset.words) complain("");
  if (failures > 1) complain($("#lost").dataset.words);
  setTimeout(poll, document.hidden ? 5000 : $(".waiting") ? 300 : 800);
}

document.addEventListener("submit", event => {
  const form = event.target;
  if (!("go" in form.dataset)) return;
  event.preventDefault();
  go(form.action, {method: "POST", body: new FormData(form, event.submitter)});
  closeDetails(null);
  if ("clear" in form.dataset) { form.reset(); $("#text").focus(); }
});

document.addEventListener("click", event => {
  const link = event.target.closest(".simulator a[href^='/']:not([download])");
  if (link && link.pathname === location.pathname && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    go(link.href).then(() => { if (!link.closest(".people") && matchMedia("(max-width: 61rem)").matches) $("#bench").scrollIntoView(); });
  }
  const copy = event.target.closest("[data-copy]");
  if (copy) navigator.clipboard.writeText(document.getElementById(copy.dataset.copy).textContent).then(() => { copy.lastChild.textContent = copy.dataset.done; });
  closeDetails(event.target.closest("a") ? null : event.target);
});

document.addEventListener("change", event => {
  if (!("submit" in event.target.dataset)) return;
  const form = event.target.form;
  if (form.method === "post") form.requestSubmit();
  else go(`${form.action}?${new URLSearchParams(new FormData(form))}`);
});

document.addEventListener("keydown", event => {
  if (event.target.id === "text" && event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    event.target.form.requestSubmit();
  }
  if (event.key === "Escape") closeDetails(null);
});

addEventListener("popstate", () => { turn += 1; show(location.href).catch(() => location.reload()); });
revealPerson();
$("#log").scrollTop = $("#log").scrollHeight;
poll();
