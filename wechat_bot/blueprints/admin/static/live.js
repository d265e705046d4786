// Updates, by polling: an open stream would occupy a thread of the server for each page.

import {$, $$, body, fill, request} from "./dom.js";
import {notify} from "./notifications.js";

const watchers = [showArrivals];

/** Call `watcher(arrived, state)` after each poll; `arrived` tells whether there are new messages. */
export const watch = watcher => watchers.push(watcher);

const live = $(".live");
let newest = Number(body.dataset.newest), failures = 0, updated = new Date();

export async function poll() {
  try {
    const state = await (await request(body.dataset.live)).json();
    failures = 0;
    updated = new Date();
    showLive("on");
    showCount("open", state.open);
    showOpenCount(state.open);
    showCount("problems", state.problems);
    const arrived = state.newest !== newest;
    newest = state.newest;
    for (const watcher of watchers) await watcher(arrived, state);
  } catch (error) {
    failures += 1;
    showLive("lost");
  }
  setTimeout(poll, document.hidden ? 30_000 : pace() * Math.min(2 ** failures, 10));
}

// Half the time between two polls while somebody works on the page

const ATTENTION = 5 * 60_000;
let touched = Date.now();

for (const act of ["pointerdown", "pointermove", "keydown"]) addEventListener(act, () => { touched = Date.now(); }, {passive: true});
const pace = () => Date.now() - touched < ATTENTION ? 1_500 : 3_000;

function showLive(state) {
  const words = live.lastElementChild;
  const text = state === "on" ? words.dataset.on : fill(words.dataset.off, {time: updated.toLocaleTimeString()});
  live.dataset.state = state;
  if (words.textContent !== text) words.textContent = text;
  live.title = text;
}

function showCount(name, count) {
  const badge = $(`[data-count="${name}"]`);
  if (!badge) return;
  badge.textContent = count > 99 ? "99+" : count;
  badge.hidden = !count;
}

// The number of open conversations in the title; when it grows, a sound and a notification, which are preferences

let openCount = Number(body.dataset.openCount), sounds;

function showOpenCount(open) {
  const title = document.title.replace(/^\(\d+\+?\) /, "");
  document.title = open ? `(${open > 99 ? "99+" : open}) ${title}` : title;
  if (open > openCount) {
    if (body.dataset.sound === "on") ring();
    notify().catch(() => {});
  }
  openCount = open;
}

function ring() {
  sounds ??= new AudioContext();
  const now = sounds.currentTime, volume = sounds.createGain();
  volume.connect(sounds.destination);
  volume.gain.setValueAtTime(0.15, now);
  volume.gain.exponentialRampToValueAtTime(0.001, now + 0.5);
  for (const [frequency, start] of [[660, 0], [880, 0.12]]) {
    const tone = sounds.createOscillator();
    tone.frequency.value = frequency;
    tone.connect(volume);
    tone.start(now + start);
    tone.stop(now + 0.5);
  }
}

// A bar above the list of messages that tells how many arrived

async function showArrivals(arrived) {
  if (!arrived) return;
  const bar = $(".arrived");
  if (!bar || bar.dataset.arrived === "0") return;
  const query = new URLSearchParams(location.search);
  query.delete("before");
  query.set("after", bar.dataset.arrived);
  const {count} = await (await request(`${bar.dataset.count}?${query}`)).json();
  bar.textContent = fill(bar.dataset.words, {count});
  bar.hidden = !count;
}
