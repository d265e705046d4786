// Who answers the follower: shown as it is now, when something else has been loaded.

import {$} from "./dom.js";

/** Show the line about the owner that is among `elements`, unless it is shown already, or somebody writes in it. */
export function showOwner(elements) {
  const fresh = elements.find(element => element.id === "owner"), shown = $("#owner");
  if (!fresh || !shown || shown.textContent === fresh.textContent || shown.contains(document.activeElement)) return;
  shown.replaceWith(fresh);
  htmx.process(fresh);
}
