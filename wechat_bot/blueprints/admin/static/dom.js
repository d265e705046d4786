// What all scripts of the console use.

export const $ = (selector, root = document) => root.querySelector(selector);
export const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
export const body = document.body;
export const fill = (words, values) => words.replace(/\{(\w+)\}/g, (_, name) => values[name]);
export const writing = target => target.matches?.("input:not([type=checkbox]), textarea, select, [contenteditable]");

/** The sentence of an error that the server answers as text, without its number and name. */
export const sentenceOf = text => text.replace(/^\d+ [^:\n]*: /, "").trim();

export async function request(url) {
  const response = await fetch(url, {headers: {"HX-Request": "true", Accept: "application/json, text/html"}});
  if (response.status === 401) { location.reload(); throw new Error("signed out"); }
  if (!response.ok) throw new Error(String(response.status));
  return response;
}

export function parse(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return [...template.content.children];
}
