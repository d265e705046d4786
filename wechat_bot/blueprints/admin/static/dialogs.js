// Dialogs, menus, the drawer.

import {$, $$, fill} from "./dom.js";

document.addEventListener("click", event => {
  const opener = event.target.closest("[data-open]");
  if (opener) $("#" + opener.dataset.open).showModal();
  $$("details.menu[open]").forEach(menu => { if (!menu.contains(event.target) || opener) menu.open = false; });
  if (event.target.matches("dialog")) event.target.close();
  if (event.target.closest("[data-close]")) closeDrawer();
  const copy = event.target.closest("[data-copy]");
  if (copy) navigator.clipboard.writeText(copy.dataset.copy).then(() => { $("[role=status]", copy) ?? copy.append(copied(copy.dataset.done)); });
});

function copied(words) {
  const said = document.createElement("span");
  said.role = "status";
  said.textContent = ` ✓ ${words}`;
  return said;
}

export function closeDrawer() {
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
});

// The command palette

export function openPalette() {
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
