// The form of the library: files are dropped on it, measured when they are chosen, and sent with their progress.

import {$, fill} from "./dom.js";

const form = $("[data-library]");

if (form) {
  const input = form.elements.file, state = $("#file-state"), bar = $(".upload", form), about = state.textContent;
  const megabytes = bytes => Math.ceil(bytes / (1 << 20) * 10) / 10;
  input.addEventListener("change", () => {
    const files = [...input.files], bytes = files.reduce((sum, file) => sum + file.size, 0), limit = Number(state.dataset.limit);
    const values = {count: files.length, size: megabytes(bytes), limit: megabytes(limit)}, over = bytes > limit;
    state.textContent = files.length ? fill(over ? state.dataset.over : state.dataset.chosen, values) : about;
    input.setCustomValidity(over ? state.textContent : "");
  });
  form.addEventListener("submit", event => {
    event.preventDefault();
    if (!bar.hidden) return;
    const show = percent => {
      bar.hidden = false;
      bar.value = percent;
      state.textContent = fill(state.dataset.sent, {share: `${percent} %`});
    };
    const fail = problem => { bar.hidden = true; state.textContent = problem || state.dataset.lost; };
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
  });
  for (const name of ["dragover", "dragleave", "drop"]) form.addEventListener(name, event => {
    event.preventDefault();
    form.classList.toggle("over", name === "dragover");
    if (name !== "drop" || !event.dataTransfer.files.length) return;
    input.files = event.dataTransfer.files;
    input.dispatchEvent(new Event("change"));
    form.requestSubmit();
  });
}
