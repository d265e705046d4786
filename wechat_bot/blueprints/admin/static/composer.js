// The form for answers and notes: tabs, length in bytes, draft on the server, window. It sends without reloading.

import {$, $$, body, fill, parse, request} from "./dom.js";
import {openAttachments} from "./attachments.js";
import {openCards} from "./cards.js";
import {complete} from "./completion.js";
import {openUnsent, send} from "./outgoing.js";

const encoder = new TextEncoder();
let composer, attachments, agreed = "";

export function openComposer() {
  if (composer === $(".composer")) return;
  composer = $(".composer");
  agreed = "";
  if (!composer) return;
  const answer = $("[data-answer]", composer), note = $("[data-note]", composer), area = $("#reply");
  attachments = openAttachments(answer, $(".talk"), () => select("reply"));
  openTabs();
  countBytes(area);
  keepNote($("#note"));
  completeWords(area, $("#note"));
  openCards($("#cards"), submitCard);
  answer.addEventListener("submit", submitAnswer);
  note.addEventListener("submit", submitNote);
  $("[data-use]")?.addEventListener("click", event => useSuggestion(area, event.target.closest("[data-use]").dataset.use));
  $("#emoji").addEventListener("beforetoggle", openEmoji);
  $("#sending").addEventListener("beforetoggle", event => placeAbove(event.target));
  openUnsent({giveBack, say, showWindow, renewWindow, draft: keepsDraft(area)});
}

/** Show a sentence about what the operator tried to do; the next input removes it. */
const say = sentence => { $(".refusal", composer).textContent = sentence; };

/** Let the operator change what the bot would have said. */
function useSuggestion(area, text) {
  select("reply");
  area.value = area.value ? `${area.value}\n${text}` : text;
  area.dispatchEvent(new Event("input", {bubbles: true}));
  area.focus();
}

// Tabs: answer or note

function openTabs() {
  const tabs = $$("[role=tab]", composer);
  for (const tab of tabs) {
    tab.onclick = () => { select(tab.id.slice(4)); $("textarea", panelOf(tab)).focus(); };
    tab.onkeydown = event => {
      if (!["ArrowLeft", "ArrowRight"].includes(event.key)) return;
      const other = tabs[1 - tabs.indexOf(tab)];
      select(other.id.slice(4));
      other.focus();
    };
  }
  const written = tabs.find(tab => panelOf(tab).contains(document.activeElement));  // before this script was there
  select((written ?? tabs.find(tab => tab.ariaSelected === "true")).id.slice(4));
  composer.addEventListener("input", () => say(""));
  composer.addEventListener("focusin", () => composer.classList.add("used"));
  composer.addEventListener("focusout", ({currentTarget: left}) => setTimeout(() => {
    const busy = left.contains(document.activeElement) || $$("textarea", left).some(area => area.value);
    left.classList.toggle("used", busy);
  }));
}

const panelOf = tab => document.getElementById(tab.getAttribute("aria-controls"));

function select(name) {
  for (const tab of $$("[role=tab]", composer)) {
    const chosen = tab.id === `way-${name}`;
    tab.ariaSelected = chosen;
    tab.tabIndex = chosen ? 0 : -1;
    panelOf(tab).hidden = !chosen;
  }
  composer.classList.toggle("noting", name === "note");
}

function countBytes(area) {
  const counter = $(".bytes", composer), limit = Number(area.dataset.bytes);
  const count = () => {
    const used = encoder.encode(area.value.trim()).length;
    counter.textContent = used > limit / 2 ? fill(counter.dataset.words, {used, limit}) : "";
    counter.classList.toggle("over", used > limit);
    area.setCustomValidity(used > limit ? counter.textContent : "");
  };
  area.addEventListener("input", count);
  count();
}

// The draft is saved while it is written

function keepsDraft(area) {
  let timer = 0, saved = area.value, saving;
  const save = async () => {
    timer = 0;
    const text = area.value, token = area.form.elements.csrf_token.value;
    if (text === saved) return;
    saving = fetch(area.dataset.keep, {method: "POST", body: new URLSearchParams({csrf_token: token, text}), signal: AbortSignal.timeout(10_000)}).catch(() => null);
    if ((await saving)?.ok) saved = text;
    else timer ||= setTimeout(save, 5000);
  };
  area.addEventListener("input", () => { timer ||= setTimeout(save, 1500); });
  return {
    /** Before an answer, with which the server deletes the draft: a request that is under way would bring it back. */
    async pause() { timer = clearTimeout(timer); await saving; },
    /** After an answer; `text` is what the server has as draft now, if that is known. */
    resume(text = saved) { saved = text; timer ||= setTimeout(save, 1500); },
  };
}

/** Keep the draft of a note in this browser until it is sent. */
function keepNote(area) {
  const key = area.dataset.draft;
  area.value ||= localStorage.getItem(key) ?? "";
  area.addEventListener("input", () => localStorage.setItem(key, area.value));
  area.form.addEventListener("submit", () => localStorage.removeItem(key));
}

// Sending

/** Whether the newest messages are shown. If not, the form itself is sent, and the page that follows shows them. */
const isLive = () => $("#log") && !("past" in $("#log").dataset);

async function submitAnswer(event) {
  if (!isLive()) return;
  event.preventDefault();
  const form = event.target, area = form.elements.text, done = event.submitter?.value === "done";
  const text = area.value.trim();
  if (!text && attachments.isEmpty()) { say($(".refusal", composer).dataset.empty); area.focus(); return; }
  if (!await mayInterrupt()) return;
  $("#sending").hidePopover();
  const batch = new Set();
  const all = attachments.take();
  if (text) all.push({content: [paragraph(text)], fields: [["text", text], ["canned", form.elements.canned.value]]});
  area.value = form.elements.canned.value = "";
  area.dispatchEvent(new Event("input", {bubbles: true}));
  area.focus();
  all.forEach((each, index) => send({...each, url: form.action, batch, done: done && index === all.length - 1}));
}

async function submitNote(event) {
  if (!isLive()) return;
  event.preventDefault();
  const area = event.target.elements.text, text = area.value.trim();
  if (!text) return;
  area.value = "";
  area.focus();
  send({url: event.target.action, note: true, content: [paragraph(text)], fields: [["text", text]]});
}

/** Send a card or menu whose preview is `content`; whether it was taken. */
async function submitCard(event, content) {
  if (!isLive()) return;
  event.preventDefault();
  if (!await mayInterrupt()) return;
  $("#cards").hidePopover();
  const fields = [...new FormData(event.target)].filter(([name]) => name !== "csrf_token");
  event.target.reset();
  $("#reply").focus();
  send({url: event.target.action, content: [content], fields});
}

function paragraph(text) {
  const element = document.createElement("p");
  element.className = "text";
  element.textContent = text;
  return element;
}

/** Ask once, while a colleague writes to the same follower. */
function mayInterrupt() {
  const name = $(".talk").dataset.writing, dialog = $("#colleague"), words = $("p", dialog);
  if (!name || agreed === name) return true;
  words.textContent = fill(words.dataset.words, {name});
  dialog.returnValue = "look";
  dialog.showModal();
  return new Promise(answered => dialog.addEventListener("close", () => {
    if (dialog.returnValue === "send") agreed = name;
    answered(dialog.returnValue === "send");
  }, {once: true}));
}

/** Return what was not sent to the place where it was written, before what is written there now. */
function giveBack({note, fields, file, reply}) {
  const values = Object.fromEntries(fields), card = values.kind && $(`#cards form:has([value="${values.kind}"])`);
  select(note ? "note" : "reply");
  if (file) attachments.add([file]);
  if (values.reply) attachments.prepare(reply ?? {id: values.reply, title: values.title});
  if (card) {
    for (const [name, value] of fields) card.elements[name].value = value;
    card.dispatchEvent(new Event("input"));
    if (!$("#replying fieldset").disabled) $("#cards").showPopover();
  } else if (values.text) {
    const area = $(note ? "#note" : "#reply");
    area.value = [values.text, area.value].filter(Boolean).join("\n");
    area.dispatchEvent(new Event("input", {bubbles: true}));
    area.focus();
  }
}

// Canned replies, names of colleagues, emoji

function completeWords(area, note) {
  let canned;
  const list = $("#canned"), names = JSON.parse(note.dataset.names);
  complete(area, list, /(?:^|\s)\/([^\s/]{0,32})$/, async text => {
    canned ??= await (await request(area.dataset.canned)).json();
    return canned.filter(each => `${each.shortcut} ${each.title}`.toLowerCase().includes(text)).slice(0, 8).map(each => ({
      name: `/${each.shortcut} ${each.title}`,
      ...("text" in each ? textChoice(each, area, list) : cardChoice(each)),
    }));
  });
  complete(note, $("#names"), /(?:^|[\s,，。:：;；!！?？])@([^\s@]{0,64})$/, async text =>
    names.filter(name => name.toLowerCase().includes(text)).slice(0, 8).map(name => ({name: `@${name}`, text: `@${name} `})));
  $$("[data-slash]", composer).forEach(button => button.addEventListener("click", () => {
    $("#sending").hidePopover();
    const before = area.value.slice(0, area.selectionStart);
    insert(area, !before || /\s$/.test(before) ? "/" : " /");
  }));
}

const textChoice = ({id, text, missing}, area, list) => ({
  text,
  says: missing.length ? fill(list.dataset.missing, {names: missing.join(", ")}) : text,
  taken() { area.form.elements.canned.value = id; },
});

/** A canned reply that is no text stands beside the text, unless it cannot be sent. */
const cardChoice = ({id, shortcut, title, says, problem, picture}) => ({
  text: "",
  says: problem || says,
  taken() { if (!problem) attachments.prepare({id, title: title || `/${shortcut}`, says, picture}); },
  after() { if (problem) say(problem); },
});

function insert(area, text) {
  area.focus();
  area.setRangeText(text, area.selectionStart, area.selectionEnd, "end");
  area.dispatchEvent(new Event("input", {bubbles: true}));
}

async function openEmoji(event) {
  if (event.newState !== "open") return;
  placeAbove(event.target);
  const {showEmoji} = await import("./emoji.js");
  await showEmoji(event.target, text => insert($("#reply"), text));
}

/** Place a panel above its button, within the window. */
function placeAbove(panel) {
  const button = $(`[popovertarget="${panel.id}"]`, composer).getBoundingClientRect(), root = document.documentElement;
  panel.style.bottom = `${root.clientHeight - button.top + 8}px`;
  panel.style.right = `${Math.max(8, Math.min(root.clientWidth - button.right, root.clientWidth - 348))}px`;
}

// Whether, and until when, an answer can be sent

export async function renewWindow() {
  const shown = $("#window");
  if (shown) showWindow(parse(await (await request(shown.dataset.again)).text())[0]);
}

function showWindow(fresh) {
  const closed = "closed" in fresh.dataset;
  $("#window")?.replaceWith(fresh);
  composer.classList.toggle("blocked", closed);
  $("#replying fieldset").disabled = closed;
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
