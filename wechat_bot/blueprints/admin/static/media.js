// Files of messages: the download that was pending when the page was made, and the pictures of the page in full size.

import {$, $$, fill, parse, request} from "./dom.js";
import {watch} from "./live.js";

watch(async () => {
  for (const pending of $$("[data-waiting]").slice(-5)) {
    const response = await request(pending.dataset.waiting);
    if (response.status !== 204) pending.replaceWith(...parse(await response.text()));
  }
});

const lightbox = $("#picture"), image = $("img", lightbox), message = $("[data-message]", lightbox);
let opener, links = [], at = 0, swipeFrom;

document.addEventListener("click", event => {
  const link = event.target.closest("[data-picture]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  opener = link;
  links = $$("[data-picture]");
  show(links.indexOf(link));
  lightbox.showModal();
});

function show(index) {
  const link = links[index], position = $("[role=status]", lightbox);
  if (!link) return;
  at = index;
  image.src = link.href;
  image.alt = link.dataset.words;
  $("[data-download]", lightbox).href = link.href;
  message.href = link.dataset.picture;
  message.hidden = !link.dataset.picture;  // a file of the library belongs to no message
  position.textContent = fill(position.dataset.words, {at: at + 1, count: links.length});
  for (const button of $$("[data-step]", lightbox)) button.hidden = !links[at + Number(button.dataset.step)];
}

const step = by => show(at + by);

lightbox.addEventListener("click", event => {
  const button = event.target.closest("[data-step]");
  if (button) step(Number(button.dataset.step));
  else if (!event.target.closest("img, a, button")) lightbox.close();
});
lightbox.addEventListener("keydown", event => {
  if (event.key === "ArrowLeft") step(-1);
  else if (event.key === "ArrowRight") step(1);
  event.stopPropagation();  // Escape closes this alone
});
lightbox.addEventListener("pointerdown", event => { swipeFrom = event.pointerType === "touch" ? event.clientX : undefined; });
lightbox.addEventListener("pointerup", event => {
  const way = event.clientX - swipeFrom;
  if (Math.abs(way) > 50) step(way < 0 ? 1 : -1);
});
lightbox.addEventListener("close", () => {
  image.removeAttribute("src");
  opener?.focus();
});
