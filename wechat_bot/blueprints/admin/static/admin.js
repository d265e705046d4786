// Keyboard shortcuts, dialogs and updates without reload: what all pages of the console have, which works without them.

import {$$} from "./dom.js";
import {poll} from "./live.js";
import "./shortcuts.js";
import "./media.js";
import "./selection.js";

if (matchMedia("(max-width: 1023.98px)").matches) $$("details.filter").forEach(filter => { filter.open = false; });
poll();
