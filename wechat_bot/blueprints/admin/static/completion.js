// A list of completions for the word before the caret.

import {$$} from "./dom.js";

/**
 * Offer completions for what `pattern` matches before the caret in `area`; its group is what was written.
 * `find` returns the choices for it: what they are called (`name`), what they mean (`says`), the `text` that replaces it,
 * and what else is done when one is `taken`, and `after` the text has changed.
 */
export function complete(area, list, pattern, find) {
  let choices = [], at = 0, start = 0, asked = 0;

  const close = () => {
    asked += 1;
    list.hidden = true;
    area.removeAttribute("aria-activedescendant");
  };
  const mark = index => {
    at = (index + choices.length) % choices.length;
    $$("li", list).forEach((item, place) => { item.ariaSelected = place === at; });
    list.children[at].scrollIntoView({block: "nearest"});
    area.setAttribute("aria-activedescendant", list.children[at].id);
  };
  const take = choice => {
    area.setRangeText(choice.text, start, area.selectionStart, "end");
    choice.taken?.();
    area.dispatchEvent(new Event("input", {bubbles: true}));
    close();
    area.focus();
    choice.after?.();
  };
  const offer = async () => {
    const before = area.value.slice(0, area.selectionStart), match = pattern.exec(before), question = asked += 1;
    if (!match || area.selectionStart !== area.selectionEnd) { close(); return; }
    const found = await find(match[1].toLowerCase()).catch(() => []);
    if (question !== asked) return;
    if (!found.length) { close(); return; }
    [choices, start] = [found, before.length - match[1].length - 1];
    list.replaceChildren(...choices.map((choice, index) => itemOf(choice, `${list.id}-${index}`, () => take(choice))));
    list.hidden = false;
    mark(0);
  };

  area.addEventListener("input", offer);
  area.addEventListener("click", offer);
  area.addEventListener("blur", close);
  area.addEventListener("keydown", event => {
    if (list.hidden || event.isComposing || event.ctrlKey || event.metaKey) return;
    const step = {ArrowDown: 1, ArrowUp: -1}[event.key];
    if (step) mark(at + step);
    else if ((event.key === "Enter" && !event.shiftKey) || event.key === "Tab") take(choices[at]);
    else if (event.key === "Escape") close();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
}

function itemOf({name, says}, id, take) {
  const item = document.createElement("li"), title = document.createElement("b");
  item.id = id;
  item.role = "option";
  title.textContent = name;
  item.append(title);
  if (says) item.append(Object.assign(document.createElement("span"), {textContent: says}));
  item.onmousedown = event => event.preventDefault();  // the field keeps the focus
  item.onclick = take;
  return item;
}
