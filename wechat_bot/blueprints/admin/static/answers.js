// The editor of answers: texts are counted, the preview follows what is typed, and files are chosen by picture.

import {$, $$, fill, parse, request, sentenceOf} from "./dom.js";

const form = $("[data-preview]"), encoder = new TextEncoder();
let timer = 0, running = null;

function count(area) {
  const counter = $(".bytes", area.parentElement), used = encoder.encode(area.value.trim()).length, limit = Number(area.dataset.bytes);
  counter.textContent = used ? fill(counter.dataset.words, {used, limit}) : "";
  counter.classList.toggle("over", used > limit);
}

async function send(button) {
  const values = new FormData(form);
  for (const [name, value] of [...values]) if (value instanceof File) values.delete(name);
  if (button) values.append(button.name, button.value);
  const response = await fetch(form.dataset.preview, {method: "POST", body: values, redirect: "error", signal: running.signal});
  return new DOMParser().parseFromString(await response.text(), "text/html").body.firstElementChild;
}

// What is asked for later wins over what is still on its way.
async function show(button) {
  clearTimeout(timer);
  running?.abort();
  running = new AbortController();
  try {
    const fresh = await send(button), shown = document.getElementById(fresh?.id);
    shown?.replaceWith(fresh);
    if (button) fresh.lastElementChild.scrollIntoView({block: "nearest"});
  } catch (error) {
    if (error.name !== "AbortError") console.warn(error);
  }
}

if (form) {
  form.addEventListener("input", event => {
    if (event.target.dataset.bytes) count(event.target);
    clearTimeout(timer);
    timer = setTimeout(show, 300);
  });
  form.addEventListener("submit", event => {
    if (!event.submitter?.matches("[data-previewed]")) return;
    event.preventDefault();
    show(event.submitter);
  });
  $$("[data-bytes]", form).forEach(count);
}

// Files are chosen in a dialog, of which the server renders the pages.

const picker = document.createElement("dialog");
picker.className = "picker";
picker.setAttribute("aria-labelledby", "files-title");
let field = null;

async function open(url) {
  picker.replaceChildren(...parse(await (await request(url)).text()));
  if (!picker.open) picker.showModal();
  $("[type=search]", picker).focus();
}

function choose(file) {
  const select = $("select", field), {file: id} = file.dataset, shown = file.cloneNode(true);
  if (![...select.options].some(option => option.value === id)) select.add(new Option(file.textContent.trim(), id));
  select.value = id;
  $(".chosen", field).replaceChildren(shown);
  picker.close();
  shown.focus();
  select.dispatchEvent(new Event("input", {bubbles: true}));
}

async function upload(form) {
  const said = $("[role=status]", picker);
  try {
    const response = await fetch(form.action, {method: "POST", body: new FormData(form), headers: {Accept: "text/plain"}});
    const text = await response.text();
    if (response.ok) choose(parse(text)[0]);
    else said.textContent = sentenceOf(text);
  } catch {
    said.textContent = said.dataset.lost;
  }
  form.reset();
}

if ($("[data-pick]")) {
  document.body.append(picker);
  document.addEventListener("click", event => {
    const chosen = event.target.closest("[data-pick]");
    if (!chosen) return;
    field = chosen.closest("fieldset");
    open(chosen.dataset.pick);
  });
  picker.addEventListener("click", event => {
    const file = event.target.closest("[data-file]"), link = event.target.closest("a[href]");
    if (file) choose(file);
    if (!link) return;
    event.preventDefault();
    open(link.href);
  });
  picker.addEventListener("submit", event => {
    if (event.target.method === "dialog") return;
    event.preventDefault();
    open(`${event.target.action}?${new URLSearchParams(new FormData(event.target))}`);
  });
  picker.addEventListener("change", event => { if (event.target.type === "file") upload(event.target.form); });
}
