// A conversation: older messages are loaded above when it is scrolled up, new ones are appended.

import {$, $$, parse, request} from "./dom.js";
import {openComposer, renewWindow} from "./composer.js";
import {showOwner} from "./owner.js";
import {watch} from "./live.js";

/** Set up the conversation that has been opened. */
export function openConversation() {
  openComposer();
  showWriting();
  const log = $("#log");
  if (!log || log.dataset.ready) return;
  log.dataset.ready = "1";
  const here = $(".here, :target", log);
  if (here) here.scrollIntoView({block: "center"});
  else if (!("past" in log.dataset)) log.scrollTop = log.scrollHeight;
  new IntersectionObserver(entries => entries.forEach(entry => entry.isIntersecting && prependOlder(log)), {root: log, rootMargin: "200px"})
    .observe($("[data-older]", log) ?? log.firstElementChild);
  log.addEventListener("scroll", () => { if (log.scrollTop < 200) prependOlder(log); }, {passive: true});
}

async function prependOlder(log) {
  const link = $("[data-older]", log);
  if (!link || link.dataset.busy) return;
  link.dataset.busy = "1";
  try {
    const answer = await (await request(`${log.dataset.more}?before=${link.dataset.older}`)).text();
    const fromEnd = log.scrollHeight - log.scrollTop;
    const older = parse(answer), firstDay = $(".day", log);
    if (older.at(-1) && older.filter(e => e.matches(".day")).at(-1)?.dataset.day === firstDay?.dataset.day) firstDay?.remove();
    link.replaceWith(...older);
    log.scrollTop = log.scrollHeight - fromEnd;
  } catch (error) {
    delete link.dataset.busy;
  }
}

// What is new: messages, and who else is there

async function renew() {
  const talk = $(".talk[data-follower]"), log = $("#log");
  if (!talk) return;
  const isNewest = log && !("past" in log.dataset);
  const response = await request(isNewest ? `${log.dataset.more}?after=${log.dataset.newest}` : $("#presence").dataset.again);
  const [presence, ...others] = parse(await response.text());
  if (!talk.isConnected) return;
  showPresence(presence);
  showOwner(others);
  const arrived = others.filter(element => element.id !== "owner");
  if (arrived.length) await append(log, arrived);
}

function showPresence(fresh) {
  const shown = $("#presence");
  if (shown.textContent === fresh.textContent) return;
  shown.replaceChildren(...fresh.childNodes);
  shown.dataset.writing = fresh.dataset.writing;
  showWriting();
}

/** Tell the form for answers who else is writing one. */
function showWriting() {
  const {writing} = $("#presence")?.dataset ?? {};
  if (writing) $(".talk").dataset.writing = writing;
  else delete $(".talk").dataset.writing;
}

async function append(log, arrived) {
  const atBottom = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
  const lastDay = $$(".day", log).at(-1)?.dataset.day;
  const fresh = arrived.filter(element => !(element.id && document.getElementById(element.id)) && element.dataset.day !== lastDay && !element.matches(".log-more"));
  const unsent = $(".unsent", log);  // what is being sent stays last, as it will be stored after this
  if (unsent) unsent.before(...fresh);
  else log.append(...fresh);
  announce(fresh.filter(element => element.matches(".bubble.in")));
  const ids = fresh.flatMap(element => [element, ...$$("[id]", element)]).map(element => /^m(\d+)$/.exec(element.id)?.[1]).filter(Boolean);
  log.dataset.newest = Math.max(log.dataset.newest, ...ids);
  if (atBottom) log.scrollTop = log.scrollHeight;
  if (fresh.some(element => element.matches(".bubble"))) await renewWindow();
}

/** Let screen readers say the messages, unlike the older ones that are loaded above. */
function announce(bubbles) {
  $("#arrivals").append(...bubbles.map(bubble => {
    const line = document.createElement("p");
    line.textContent = $("bdi", bubble).innerText;
    return line;
  }));
}

// States of sent answers

async function showOutcomes() {
  const log = $("#log"), unsettled = $$("[data-unsettled]", log ?? document);
  if (!log || !unsettled.length) return;
  const query = new URLSearchParams(unsettled.map(element => ["id", element.dataset.unsettled]));
  const now = parse(await (await request(`${log.dataset.more}?${query}`)).text());
  for (const element of now.filter(each => each.id)) {
    const before = document.getElementById(element.id);
    if (before && before.textContent !== element.textContent) before.replaceWith(element);
  }
  if ($$("[data-unsettled]", log).length < unsettled.length) await renewWindow();
}

watch(async () => {
  await renew();
  await showOutcomes();
});
