// Keyboard shortcuts, dialogs, updates without reload and drafts of the console, which works without this file.
"use strict";

const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
const body = document.body;
const fill = (words, values) => words.replace(/\{(\w+)\}/g, (_, name) => values[name]);
const writing = target => target.matches?.("input:not([type=checkbox]), textarea, select, [contenteditable]");

// Keyboard shortcuts

const rowLinks = () => $$("[data-rows] [data-row]");
let prefix = "";

function moveRow(step) {
  const links = rowLinks();
  const at = links.indexOf(document.activeElement);
  const current = at >= 0 ? at : links.findIndex(link => link.closest(".current"));
  const next = links[Math.min(Math.max(current + step, 0), links.length - 1)];
  next?.focus();
  next?.scrollIntoView({block: "nearest"});
}

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
  "r": () => openForm("#reply"),
  "n": () => openForm("#note"),
};

document.addEventListener("keydown", event => {
  const command = event.ctrlKey || event.metaKey;
  if (command && event.key.toLowerCase() === "k") { event.preventDefault(); openPalette(); return; }
  if (command && event.key === "Enter") { event.target.form?.requestSubmit(); return; }
  if (event.key === "Escape") { closeAll(event); return; }
  if (command || event.altKey || event.isComposing || writing(event.target) || $("dialog[open]")) return;
  if (body.dataset.shortcuts !== "on") return;
  const key = prefix ? `${prefix} ${event.key}` : event.key;
  prefix = event.key === "g" && !prefix ? "g" : "";
  if (KEYS[key]) KEYS[key]();
  else if (!press(key)) return;
  event.preventDefault();
});

function openForm(selector) {
  const area = $(selector);
  if (!area) return;
  area.closest("details").open = true;
  area.focus();
}

function closeAll(event) {
  if (writing(event.target)) event.target.blur();
  $$("details.menu[open]").forEach(menu => { menu.open = false; $("summary", menu).focus(); });
  closeDrawer();
}

// Dialogs, menus, the drawer

document.addEventListener("click", event => {
  const opener = event.target.closest("[data-open]");
  if (opener) $("#" + opener.dataset.open).showModal();
  $$("details.menu[open]").forEach(menu => { if (!menu.contains(event.target) || opener) menu.open = false; });
  if (event.target.matches("dialog")) event.target.close();
  if (event.target.closest("[data-close]")) closeDrawer();
  const picture = event.target.closest("[data-picture]");
  if (picture && !event.ctrlKey && !event.metaKey && !event.shiftKey) { event.preventDefault(); showPicture(picture.href); }
  const copy = event.target.closest("[data-copy]");
  if (copy) navigator.clipboard.writeText(copy.dataset.copy).then(() => copy.append(` ✓ ${copy.dataset.done}`));
});

function showPicture(url) {
  $("#picture img").src = url;
  $("#picture").showModal();
}

function closeDrawer() {
  const drawer = $("#drawer");
  if (!drawer || drawer.hidden) return;
  drawer.hidden = true;
  $("#workspace").classList.remove("with-drawer");
  $("tr.current [data-row]")?.focus();
}

document.addEventListener("htmx:after:swap", () => {
  const drawer = $("#drawer");
  if (drawer?.childElementCount && document.activeElement?.closest("[data-rows]")) {
    drawer.hidden = false;
    $("#workspace").classList.add("with-drawer");
    $$("tr.current").forEach(row => row.classList.remove("current"));
    document.activeElement.closest("tr")?.classList.add("current");
  }
  if ($(".desk")) openConversation();
});

// The command palette

function openPalette() {
  const palette = $("#palette"), input = $("input", palette), list = $("ul", palette);
  const places = $$(".rail ul a").map(link => ({words: link.innerText.trim() || link.textContent.trim(), url: link.href}));
  let choices = [], at = 0;
  const draw = () => {
    const text = input.value.trim();
    choices = places.filter(place => place.words.toLowerCase().includes(text.toLowerCase()));
    if (text) {
      const search = encodeURIComponent(text);
      choices.push({words: fill(list.dataset.search, {text}), url: `${list.dataset.searchUrl}?q=${search}`});
      choices.push({words: fill(list.dataset.find, {text}), url: `${list.dataset.findUrl}?q=${search}`});
    }
    at = Math.min(at, choices.length - 1);
    list.replaceChildren(...choices.map((choice, index) => {
      const item = document.createElement("li");
      item.id = `choice-${index}`;
      item.role = "option";
      item.textContent = choice.words;
      item.ariaSelected = index === at;
      item.onclick = () => { location.href = choice.url; };
      return item;
    }));
    input.setAttribute("aria-activedescendant", `choice-${at}`);
  };
  input.value = "";
  input.oninput = () => { at = 0; draw(); };
  input.onkeydown = event => {
    if (event.key === "ArrowDown") at = (at + 1) % choices.length;
    else if (event.key === "ArrowUp") at = (at + choices.length - 1) % choices.length;
    else if (event.key === "Enter" && choices[at]) location.href = choices[at].url;
    else return;
    event.preventDefault();
    draw();
  };
  draw();
  palette.showModal();
}

// Updates, by polling: an open stream would occupy a thread of the server for each page

const live = $(".live");
let newest = Number(body.dataset.newest), failures = 0, updated = new Date();

async function request(url) {
  const response = await fetch(url, {headers: {"HX-Request": "true", Accept: "application/json, text/html"}});
  if (response.status === 401) { location.reload(); throw new Error("signed out"); }
  if (!response.ok) throw new Error(String(response.status));
  return response;
}

async function poll() {
  try {
    const state = await (await request(body.dataset.live)).json();
    failures = 0;
    updated = new Date();
    showLive("on");
    showCount("open", state.open);
    showOpenCount(state.open);
    showCount("problems", state.problems);
    if (state.newest !== newest) {
      $$("[data-stale]").forEach(element => { element.hidden = false; });
      newest = state.newest;
      await showNewMessages();
    }
    else if ($("#log")) await appendNew();
    await showFiles();
    await showOutcomes();
  } catch (error) {
    failures += 1;
    showLive("lost");
  }
  setTimeout(poll, document.hidden ? 30_000 : 3_000 * Math.min(2 ** failures, 20));
}

function showLive(state) {
  const words = live.lastElementChild;
  const text = state === "on" ? words.dataset.on : fill(words.dataset.off, {time: updated.toLocaleTimeString()});
  live.dataset.state = state;
  if (words.textContent !== text) words.textContent = text;
  live.title = text;
}

function showCount(name, count) {
  const badge = $(`[data-count="${name}"]`);
  if (!badge) return;
  badge.textContent = count > 99 ? "99+" : count;
  badge.hidden = !count;
}

// The number of open conversations in the title, and a sound (a preference) when it grows

const title = document.title;
let openCount = Number(body.dataset.openCount), sounds;

function showOpenCount(open) {
  document.title = open ? `(${open > 99 ? "99+" : open}) ${title}` : title;
  if (open > openCount && body.dataset.sound === "on") ring();
  openCount = open;
}

function ring() {
  sounds ??= new AudioContext();
  const now = sounds.currentTime, volume = sounds.createGain();
  volume.connect(sounds.destination);
  volume.gain.setValueAtTime(0.15, now);
  volume.gain.exponentialRampToValueAtTime(0.001, now + 0.5);
  for (const [frequency, start] of [[660, 0], [880, 0.12]]) {
    const tone = sounds.createOscillator();
    tone.frequency.value = frequency;
    tone.connect(volume);
    tone.start(now + start);
    tone.stop(now + 0.5);
  }
}

async function showNewMessages() {
  await appendNew();
  const bar = $(".arrived");
  if (!bar || bar.dataset.arrived === "0") return;
  const query = new URLSearchParams(location.search);
  query.delete("before");
  query.set("after", bar.dataset.arrived);
  const found = await (await request(`${location.pathname}.json?${query}`)).json();
  const count = found.messages.length;
  bar.textContent = fill(bar.dataset.words, {count: found.newer ? `${count}+` : count});
  bar.hidden = !count;
}

// A conversation: older messages are loaded above when it is scrolled up, new ones are appended

function openConversation() {
  const log = $("#log"), follower = $(".talk")?.dataset.follower;
  $(".desk").classList.toggle("reading", Boolean(follower));
  $$(".inbox-list li").forEach(item => {
    const link = $("[data-row]", item);
    item.classList.toggle("current", Boolean(follower) && new URL(link.href).pathname.endsWith(`/${follower}`));
    if (item.classList.contains("current")) { item.classList.remove("unread"); $(".dot", item)?.remove(); }
  });
  restoreDrafts();
  canned = null;
  openComposer();
  if (!log || log.dataset.ready) return;
  log.dataset.ready = "1";
  const here = $(".here, :target", log);
  if (here) here.scrollIntoView({block: "center"});
  else if (!("past" in log.dataset)) log.scrollTop = log.scrollHeight;
  new IntersectionObserver(entries => entries.forEach(entry => entry.isIntersecting && prependOlder(log)), {root: log, rootMargin: "200px"})
    .observe($("[data-older]", log) ?? log.firstElementChild);
  log.addEventListener("scroll", () => { if (log.scrollTop < 200) prependOlder(log); }, {passive: true});
}

async function prependOlder(log) {
  const link = $("[data-older]", log);
  if (!link || link.dataset.busy) return;
  link.dataset.busy = "1";
  try {
    const answer = await (await request(`${log.dataset.more}?before=${link.dataset.older}`)).text();
    const fromEnd = log.scrollHeight - log.scrollTop;
    const older = parse(answer), firstDay = $(".day", log);
    if (older.at(-1) && older.filter(e => e.matches(".day")).at(-1)?.dataset.day === firstDay?.dataset.day) firstDay?.remove();
    link.replaceWith(...older);
    log.scrollTop = log.scrollHeight - fromEnd;
  } catch (error) {
    delete link.dataset.busy;
  }
}

async function appendNew() {
  const log = $("#log");
  if (!log || "past" in log.dataset) return;
  const response = await request(`${log.dataset.more}?after=${log.dataset.newest}`);
  if (response.status === 204) return;
  const atBottom = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
  const lastDay = $$(".day", log).at(-1)?.dataset.day;
  const fresh = parse(await response.text()).filter(element => !(element.id && document.getElementById(element.id)) && element.dataset.day !== lastDay && !element.matches(".log-more"));
  log.append(...fresh);
  // Screen readers announce these, but not the older messages that are loaded above.
  $("#arrivals").append(...fresh.filter(element => element.matches(".bubble.in")).map(element => {
    const line = document.createElement("p");
    line.textContent = $("bdi", element).innerText;
    return line;
  }));
  const ids = fresh.flatMap(element => [element, ...$$("[id]", element)]).map(element => /^m(\d+)$/.exec(element.id)?.[1]).filter(Boolean);
  log.dataset.newest = Math.max(log.dataset.newest, ...ids);
  if (atBottom) log.scrollTop = log.scrollHeight;
  if (fresh.some(element => element.matches(".bubble"))) await renewWindow();
}

// Files whose download was pending when their message was shown

async function showFiles() {
  for (const pending of $$("[data-waiting]").slice(-5)) {
    const response = await request(pending.dataset.waiting);
    if (response.status !== 204) pending.replaceWith(...parse(await response.text()));
  }
}

// States of sent answers, and whether and until when another can be sent

async function showOutcomes() {
  const log = $("#log"), unsettled = $$("[data-unsettled]", log ?? document);
  if (!log || !unsettled.length) return;
  const query = new URLSearchParams(unsettled.map(element => ["id", element.dataset.unsettled]));
  const now = parse(await (await request(`${log.dataset.more}?${query}`)).text());
  for (const element of now.filter(each => each.id)) {
    const before = document.getElementById(element.id);
    if (before && before.textContent !== element.textContent) before.replaceWith(element);
  }
  if ($$("[data-unsettled]", log).length < unsettled.length) await renewWindow();
}

async function renewWindow() {
  const shown = $("#window");
  if (!shown) return;
  const fresh = parse(await (await request(shown.dataset.again)).text())[0];
  shown.replaceWith(fresh);
  $$(".way.answer form :is(textarea, button, input)").forEach(part => { part.disabled = "closed" in fresh.dataset; });
}

function tick() {
  const shown = $("#window"), left = $("[data-left]", shown ?? document);
  const seconds = shown && left ? (new Date(shown.dataset.ends) - Date.now()) / 1000 : Infinity;
  if (seconds <= 0) renewWindow().catch(() => {});
  else if (seconds < 600) left.textContent = `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
  else if (left) left.textContent = `${Math.floor(seconds / 3600)}:${String(Math.floor(seconds / 60) % 60).padStart(2, "0")}`;
  $$("[data-undo]").forEach(button => {
    const rest = Math.ceil((new Date(button.dataset.undo) - Date.now()) / 1000 + Number(body.dataset.undoSeconds));
    button.dataset.rest = Math.max(rest, 0);
  });
}

setInterval(tick, 1000);

// The form for answers: length in bytes, as the platform counts; draft on the server; canned replies

const encoder = new TextEncoder();

function openComposer() {
  const area = $("#reply");
  if (!area || area.dataset.ready) return;
  area.dataset.ready = "1";
  let timer = 0, saved = area.value;
  const save = async () => {
    timer = 0;
    const text = area.value, token = area.form.elements.csrf_token.value;
    if (text === saved) return;
    const kept = await fetch(area.dataset.keep, {method: "POST", body: new URLSearchParams({csrf_token: token, text})}).catch(() => null);
    if (kept?.ok) saved = text;
    else timer ||= setTimeout(save, 5000);
  };
  const changed = () => {
    const counter = $(".bytes", area.form), used = encoder.encode(area.value.trim()).length, limit = Number(area.dataset.bytes);
    counter.textContent = used ? fill(counter.dataset.words, {used, limit}) : "";
    counter.classList.toggle("over", used > limit);
    area.setCustomValidity(used > limit ? counter.textContent : "");
    timer ||= setTimeout(save, 1500);
    showCanned(area);
  };
  area.addEventListener("input", changed);
  area.addEventListener("keydown", event => chooseCanned(event, area));
  area.form.addEventListener("submit", () => { timer = clearTimeout(timer); });
  changed();
  openUpload(area.form);
  $$("[data-lines]").forEach(lines => lines.addEventListener("input", () => {
    const count = lines.value.split("\n").filter(line => line.trim()).length;
    lines.setCustomValidity(count > lines.dataset.lines ? lines.dataset.over : "");
  }));
}

// A file is measured when it is chosen, and sent by a request that tells its progress

function openUpload(form) {
  const input = form.elements.file, state = $(".file-state", form), bar = $(".upload", form), about = state.textContent;
  const limits = JSON.parse(state.dataset.limits), megabyte = 1 << 20;
  input.addEventListener("change", () => {
    const file = input.files[0], kind = file?.type.split("/")[0].replace("audio", "voice");
    const limit = limits[kind] ?? Math.max(...Object.values(limits)), over = file?.size > limit;
    const values = {size: Math.ceil(file?.size / megabyte * 10) / 10, limit: limit / megabyte};
    state.textContent = file ? fill(over ? state.dataset.over : state.dataset.chosen, values) : about;
    state.classList.toggle("over", over);
    input.setCustomValidity(over ? state.textContent : "");
  });
  form.addEventListener("submit", event => {
    if (!input.files.length) return;
    event.preventDefault();
    if (!bar.hidden) return;
    const show = percent => {
      bar.hidden = false;
      bar.value = percent;
      state.textContent = fill(state.dataset.sent, {share: `${percent} %`});
    };
    upload(form, show, problem => { bar.hidden = true; state.textContent = problem || state.dataset.lost; });
  });
}

function upload(form, show, fail) {
  const transfer = new XMLHttpRequest();
  transfer.upload.onprogress = event => show(Math.floor(event.loaded / event.total * 100));
  transfer.onload = () => {
    const target = transfer.getResponseHeader("HX-Redirect");
    if (target) location.assign(target);
    else if (transfer.status === 401) location.reload();
    else fail(transfer.responseText);
  };
  transfer.onerror = () => fail();
  show(0);
  transfer.open("POST", form.action);
  transfer.setRequestHeader("HX-Request", "true");
  transfer.setRequestHeader("Accept", "text/plain");
  transfer.send(new FormData(form));
}

let canned = null;

async function showCanned(area) {
  const list = $("#canned"), wanted = /^\/(\S*)$/.exec(area.value);
  if (!wanted) { list.hidden = true; return; }
  canned ??= await (await request(area.dataset.canned)).json();
  const text = wanted[1].toLowerCase();
  const found = canned.filter(each => `${each.shortcut} ${each.title}`.toLowerCase().includes(text)).slice(0, 8);
  list.replaceChildren(...found.map((each, index) => {
    const item = document.createElement("li"), name = document.createElement("b"), says = document.createElement("span");
    item.role = "option";
    item.ariaSelected = index === 0;
    name.textContent = `/${each.shortcut} ${each.title}`;
    says.textContent = each.missing.length ? fill(list.dataset.missing, {names: each.missing.join(", ")}) : each.text;
    item.append(name, says);
    item.onclick = () => takeCanned(area, each);
    return item;
  }));
  list.hidden = !found.length;
}

function chooseCanned(event, area) {
  const list = $("#canned");
  if (list.hidden || event.isComposing) return;
  const items = $$("li", list), at = items.findIndex(item => item.ariaSelected === "true");
  const step = {ArrowDown: 1, ArrowUp: -1}[event.key];
  if (step) {
    items[at].ariaSelected = false;
    items[(at + step + items.length) % items.length].ariaSelected = true;
  } else if (event.key === "Enter" && !event.ctrlKey) items[at].click();
  else if (event.key === "Escape") list.hidden = true;
  else return;
  event.preventDefault();
  event.stopPropagation();
}

function takeCanned(area, reply) {
  area.value = reply.text;
  area.form.elements.canned.value = reply.id;
  area.dispatchEvent(new Event("input"));
  area.focus();
}

function parse(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return [...template.content.children];
}

// Drafts of notes, kept in this browser until they are sent

function restoreDrafts() {
  $$("[data-draft]").forEach(area => {
    if (!area.value) area.value = localStorage.getItem(area.dataset.draft) ?? "";
    area.oninput = () => localStorage.setItem(area.dataset.draft, area.value);
    area.form.onsubmit = () => localStorage.removeItem(area.dataset.draft);
  });
}

if (matchMedia("(max-width: 767.98px)").matches) $$("details.filter").forEach(filter => { filter.open = false; });
if ($(".desk")) openConversation();
poll();
