// What an operator sends is in the log at once, and what the server answers replaces it. Without an answer it
// stays, and can be sent again: its key tells the server that it is the same.

import {$, parse, sentenceOf} from "./dom.js";
import {showOwner} from "./owner.js";

const items = new Map();
/** What the server has not taken, by key. Words are also kept in this browser, for a page that is loaded anew. */
let queue = Promise.resolve(), page;

/** Show what was not sent in this conversation. `functions` are those of the composer that are used here. */
export function openUnsent(functions) {
  page = functions;
  const stored = readStored(place()), area = $("#reply");
  for (const each of stored) if (!items.has(each.key)) add({...each, content: [wordsOf(each)], state: "lost"});
  if (stored.some(each => each.fields.some(([, value]) => value && value === area.value))) area.value = "";
  for (const item of items.values()) if (isHere(item)) show(item);
}

/** Send `fields`, or a `file`, to `url`, and show `content` until it is taken. */
export function send(item) {
  transmit(add({...item, key: newKey(), place: place(), follower: follower()}));
}

function add(item) {
  const bubble = item.bubble = $("#unsent").content.firstElementChild.cloneNode(true);
  bubble.classList.add(item.note ? "note" : "out");
  $("bdi", bubble).append(...item.content);
  $("[data-again]", bubble).onclick = () => transmit(item);
  $("[data-back]", bubble).onclick = () => { remove(item); page.giveBack(item); };
  items.set(item.key, item);
  item.batch?.add(item);
  return item;
}

function show(item) {
  const log = $("#log");
  item.bubble.dataset.state = item.state;
  if (!log || "past" in log.dataset) return;
  log.append(item.bubble);
  log.scrollTop = log.scrollHeight;
}

function remove(item) {
  items.delete(item.key);
  item.bubble.remove();
  forget(item);
}

function transmit(item) {
  item.state = "sending";
  show(item);
  queue = queue.catch(() => {}).then(() => attempt(item));
  if (!item.file) store(item);
}

async function attempt(item) {
  const {status, text} = await deliver(item).catch(() => ({status: 0}));
  if (status >= 200 && status < 300) settle(item, text);
  else fail(item, status, text);
}

async function deliver(item) {
  const data = new FormData(), bar = $("progress", item.bubble);
  for (const [name, value] of item.fields) data.append(name, value);
  if (item.file) data.append("file", item.file);
  if (isDone(item)) data.append("then", "done");
  data.append("key", item.key);
  data.append("csrf_token", $("[name=csrf_token]").value);
  if (!item.note) await page.draft.pause();
  bar.hidden = !item.file;
  return post(item.url, data, item.file && (share => { bar.value = share; }));
}

/** Post a form; it is given up when nothing answers, unless its `progress` is shown. */
function post(url, data, progress) {
  return new Promise((answered, lost) => {
    const transfer = new XMLHttpRequest();
    transfer.open("POST", url);
    transfer.setRequestHeader("HX-Request", "true");
    transfer.setRequestHeader("Accept", "text/plain");
    transfer.timeout = progress ? 0 : 30_000;
    if (progress) transfer.upload.onprogress = event => progress(Math.floor(event.loaded / event.total * 100));
    transfer.onload = () => answered({status: transfer.status, text: transfer.responseText});
    transfer.onerror = transfer.ontimeout = () => lost(new Error("no answer"));
    transfer.send(data);
  });
}

function settle(item, html) {
  if (isHere(item)) {
    put(parse(html), item.bubble);
    if (!item.note) page.draft.resume("");
  }
  remove(item);
  announce("changed", item.follower);
  if (isDone(item)) announce("done", item.follower);
  item.batch?.delete(item);
}

function fail(item, status, text) {
  const refused = status >= 400 && status < 500 && ![401, 408, 429].includes(status) && isHere(item);
  page.draft.resume();
  if (refused) {
    remove(item);
    page.giveBack(item);
    page.say(sentenceOf(text));
    page.renewWindow().catch(() => {});
  } else {
    item.state = item.bubble.dataset.state = "lost";
    item.bubble.scrollIntoView({block: "nearest"});
    if (status === 401) location.reload();
  }
}

/** Put the entries that the server has rendered in place of those in the log, or before `bubble`; show the window. */
function put(elements, bubble) {
  const log = $("#log"), end = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
  for (const entry of elements.filter(element => element.matches(".bubble"))) {
    const before = document.getElementById(entry.id);
    if (before) before.replaceWith(entry);
    else bubble.before(entry);
  }
  page.showWindow(elements.find(element => element.id === "window"));
  showOwner(elements);
  if (elements.some(entry => entry.matches(".bubble.out"))) $("#suggestion")?.replaceChildren();
  if (end) log.scrollTop = log.scrollHeight;
}

const follower = () => Number($(".composer")?.dataset.follower);
const place = () => `unsent-${$(".composer")?.dataset.operator}-${follower()}`;
const isHere = item => item.place === place() && $("#log");
/** Whether the conversation is done with it: all that was sent together has been taken. */
const isDone = item => item.done && [...item.batch ?? []].every(each => each === item);
const newKey = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), byte => byte.toString(16).padStart(2, "0")).join("");

function announce(name, follower) {
  document.dispatchEvent(new CustomEvent(`conversation:${name}`, {detail: {follower}}));
}

// Words that were not sent, in this browser

const readStored = where => JSON.parse(localStorage.getItem(where) ?? "[]");

function store({key, place, follower, url, note, fields, done}) {
  localStorage.setItem(place, JSON.stringify([...without(key, place), {key, place, follower, url, note, fields, done}]));
}

function forget({key, place}) {
  const others = without(key, place);
  if (others.length) localStorage.setItem(place, JSON.stringify(others));
  else localStorage.removeItem(place);
}

const without = (key, where) => readStored(where).filter(each => each.key !== key);

function wordsOf({fields}) {
  const words = document.createElement("p");
  words.className = "text";
  words.textContent = fields.filter(([name, value]) => value && !["kind", "canned", "reply"].includes(name)).map(([, value]) => value).join("\n");
  return words;
}

addEventListener("beforeunload", event => { if ([...items.values()].some(item => item.file)) event.preventDefault(); });

// Withdrawing, sending again what failed, and sending what the bot would have said

document.addEventListener("submit", async event => {
  const form = event.target;
  if (!form.matches("#log form.after, #suggestion form") || !page) return;
  event.preventDefault();
  const bubble = form.closest(".bubble") ?? $("#log").lastElementChild, button = event.submitter ?? $("button", form);
  button.disabled = true;
  const {status, text} = await post(form.action, new FormData(form)).catch(() => ({status: 0}));
  button.disabled = false;
  if (status >= 200 && status < 300) {
    const elements = parse(text), withdrawn = form.action.endsWith("/withdraw");
    put(elements, bubble);
    if (withdrawn) page.giveBack({fields: [["text", elements.find(element => "draft" in element.dataset).value]]});
    else $("#log").focus();
    announce("changed", follower());
  } else if (status === 401) location.reload();
  else page.say(status ? sentenceOf(text) : $(".refusal").dataset.away);
});
