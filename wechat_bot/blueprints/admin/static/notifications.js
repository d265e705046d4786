// Notifications of the desktop, for operators who want them and browsers that allow them.

import {$, body, request} from "./dom.js";

const permission = () => !isSecureContext || !window.Notification ? "missing" : Notification.permission;
let shown;

/** Tell of the conversation that began to wait last, if the page is hidden. A notification replaces the one before it. */
export async function notify() {
  if (!body.dataset.notify || !document.hidden || permission() !== "granted") return;
  const response = await request(body.dataset.notify);
  if (response.status === 204) return;
  const {title, text, url} = await response.json();
  shown = new Notification(title, {body: text, tag: "wechat_bot", icon: $("link[rel=icon]").href});
  shown.onclick = () => {
    shown.close();
    window.focus();
    location.assign(url);
  };
}

document.addEventListener("visibilitychange", () => { if (!document.hidden) shown?.close(); });

// The switch in the settings asks the browser when it is pressed, and tells what the browser says.

const choice = $("[data-notifications]");

if (choice) {
  const wanted = $("[name=notifications]", choice), said = $("[role=status]", choice), ask = $("button", choice);
  const show = () => {
    said.textContent = wanted.checked ? said.dataset[permission()] : "";
    ask.hidden = !wanted.checked || permission() !== "default";
  };
  const askAndShow = async () => {
    show();
    if (wanted.checked && permission() === "default") await Notification.requestPermission();
    show();
  };
  wanted.addEventListener("change", askAndShow);
  ask.addEventListener("click", askAndShow);
  show();
}
