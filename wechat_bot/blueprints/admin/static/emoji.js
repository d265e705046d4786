// The panel of emoji and of WeChat's faces, which is loaded when it is opened first. An entry of it has what is shown,
// its group, its words in Chinese and in English, and, for a face, the code that is written.

import {$, $$} from "./dom.js";

const RECENT = "recent-emoji", COLUMNS = 8, FACES = "faces";
const codeOf = entry => entry[4] ?? entry[0];
let emoji;

async function load({source, faces}) {
  const [all, drawn] = await Promise.all([source, faces].map(async url => (await fetch(url)).json()));
  return [...drawn.map(({code, emoji, zh, en}) => [emoji, FACES, zh, en, code]), ...all];
}

/** Fill the panel; `take` gets the emoji that is chosen. */
export async function showEmoji(panel, take) {
  const search = $("input", panel), grid = $(".emoji-grid", panel), nothing = $("[role=status]", panel);
  try {
    emoji ??= await load(panel.dataset);
  } catch (error) {
    grid.textContent = panel.dataset.away;
    return;
  }
  const draw = () => {
    const text = search.value.trim().toLowerCase();
    grid.replaceChildren(...(text ? [sectionOf("", emoji.filter(each => `${each[2]}|${each[3]}`.includes(text)))] : sections(panel)));
    const first = $("button", grid);
    nothing.hidden = Boolean(first);
    if (first) first.tabIndex = 0;
  };
  const choose = chosen => {
    const recent = [chosen, ...readRecent().filter(each => each !== chosen)].slice(0, 2 * COLUMNS);
    localStorage.setItem(RECENT, JSON.stringify(recent));
    panel.hidePopover();
    take(chosen);
  };
  search.value = "";
  search.oninput = draw;
  search.onkeydown = event => {
    if (event.key === "ArrowDown") { event.preventDefault(); $("button", grid)?.focus(); }
    else if (event.key === "Enter") { event.preventDefault(); $("button", grid)?.click(); }
  };
  grid.onclick = event => { if (event.target.matches("button")) choose(event.target.dataset.code); };
  grid.onkeydown = event => move(event, grid, search);
  draw();
  search.focus();
}

function sections(panel) {
  const names = JSON.parse(panel.dataset.groups), recent = readRecent();
  const groups = [[FACES, panel.dataset.facesName], ...names.entries()].filter(([, name]) => name)
    .map(([group, name]) => sectionOf(name, emoji.filter(each => each[1] === group)));
  return recent.length ? [sectionOf(panel.dataset.recent, emoji.filter(each => recent.includes(codeOf(each)))), ...groups] : groups;
}

function sectionOf(name, entries) {
  const section = document.createElement("section"), language = document.documentElement.lang.startsWith("zh") ? 2 : 3;
  if (name) section.append(Object.assign(document.createElement("h3"), {textContent: name}));
  section.append(...entries.map(entry => {
    const button = document.createElement("button");
    button.type = "button";
    button.tabIndex = -1;
    button.textContent = entry[0];
    button.dataset.code = codeOf(entry);
    button.ariaLabel = button.title = entry[language].split("|")[0];
    return button;
  }));
  return section;
}

function move(event, grid, search) {
  const buttons = $$("button", grid), at = buttons.indexOf(event.target);
  const step = {ArrowRight: 1, ArrowLeft: -1, ArrowDown: COLUMNS, ArrowUp: -COLUMNS}[event.key];
  if (!step) return;
  event.preventDefault();
  const next = buttons[at + step] ?? (event.key === "ArrowUp" ? search : buttons.at(-1));
  next.focus();
}

const readRecent = () => JSON.parse(localStorage.getItem(RECENT) ?? "[]");
