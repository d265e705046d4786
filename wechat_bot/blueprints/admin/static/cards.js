// Cards and menu messages, with what the follower will see while it is written.

import {$, $$} from "./dom.js";

export function openCards(panel, submit) {
  for (const form of $$("form", panel)) {
    const draw = () => show(form);
    form.addEventListener("input", draw);
    form.addEventListener("reset", () => setTimeout(draw));
    form.addEventListener("submit", event => submit(event, $(".seen > *", form).cloneNode(true)));
    draw();
  }
}

function show(form) {
  for (const field of $$(".field", form)) {
    const input = $("input, textarea", field), lines = linesOf(input), limit = input.dataset.lines ?? input.maxLength;
    $("output", field).value = input.value ? `${input.dataset.lines ? lines.length : input.value.length}/${limit}` : "";
    if (input.dataset.lines) input.setCustomValidity(lines.length > limit ? input.dataset.over : "");
  }
  for (const shown of $$("[data-shows]", form)) {
    const input = form.elements[shown.dataset.shows];
    if (input.dataset.lines) shown.replaceChildren(...linesOf(input).map(line => Object.assign(document.createElement("span"), {textContent: line})));
    else shown.textContent = input.value || shown.dataset.otherwise || "";
  }
  $(".seen-picture", form)?.classList.toggle("shown", Boolean(form.elements.pic_url.value));
}

const linesOf = input => input.value.split("\n").map(line => line.trim()).filter(Boolean);
