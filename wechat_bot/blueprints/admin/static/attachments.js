// What will be sent beside the text: files that are chosen, pasted or dropped, with what they look like and whether
// they can be sent, and canned replies that are no texts.

import {$, fill} from "./dom.js";

/** Collect files in the form's input, so that it has them without a script, too; dropped anywhere on `talk`. */
export function openAttachments(form, talk, onAdd) {
  const input = form.elements.file, tray = $(".tray", form), thumbs = new Map();
  let files = [], replies = [];

  const change = (changed, prepared = replies) => {
    [files, replies] = [changed, prepared];
    const transfer = new DataTransfer(), problems = files.map(file => problemOf(file, input, tray)).filter(Boolean);
    for (const file of files) transfer.items.add(file);
    input.files = transfer.files;
    input.setCustomValidity(problems[0] ?? "");
    tray.replaceChildren(
      ...files.map(file => entryOf(file, input, tray, thumbs, () => change(files.filter(each => each !== file)))),
      ...replies.map(reply => preparedEntry(reply, () => change(files, replies.filter(each => each !== reply)))),
    );
  };
  const add = added => {
    onAdd();
    change([...files, ...added]);
    form.elements.text.focus();
  };

  input.addEventListener("change", () => add(input.files));
  form.elements.text.addEventListener("paste", event => {
    const {files, types} = event.clipboardData;
    if (!files.length || types.includes("text/plain")) return;
    event.preventDefault();
    add(files);
  });
  const carriesFiles = event => event.dataTransfer?.types.includes("Files") && !form.elements.text.matches(":disabled");
  talk.addEventListener("dragover", event => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    talk.classList.add("dropping");
  });
  talk.addEventListener("dragleave", event => { if (!talk.contains(event.relatedTarget)) talk.classList.remove("dropping"); });
  talk.addEventListener("drop", event => {
    talk.classList.remove("dropping");
    if (!carriesFiles(event)) return;
    event.preventDefault();
    add(event.dataTransfer.files);
  });
  if (input.files.length) add(input.files);

  return {
    add,
    /** Put a canned reply with `id`, `title`, and perhaps what it `says` and a `picture` into the form. */
    prepare(reply) {
      onAdd();
      if (!replies.some(each => each.id === reply.id)) change(files, [...replies, reply]);
      form.elements.text.focus();
    },
    isEmpty: () => !files.length && !replies.length,
    /** Take all out of the form, each with what it looks like. */
    take() {
      const taken = [
        ...files.map(file => ({file, content: [thumbs.get(file)], fields: []})),
        ...replies.map(reply => ({reply, content: [cardOf(reply)], fields: [["reply", reply.id], ["title", reply.title]]})),
      ];
      change([], []);
      return taken;
    },
  };
}

const megabytes = bytes => bytes < 100_000 ? `${Math.ceil(bytes / 1024)} KB` : `${Math.ceil(bytes / (1 << 20) * 10) / 10} MB`;

/** Return why a file cannot be sent, or nothing. Browsers do not know the type of every file. */
function problemOf(file, input, tray) {
  const name = file.name.toLowerCase(), accepted = input.accept.split(",");
  const kind = file.type.split("/")[0].replace("audio", "voice") || "voice";
  if (!accepted.some(each => each.startsWith(".") ? name.endsWith(each) : file.type === each)) return tray.dataset.unknown;
  const limit = JSON.parse(tray.dataset.limits)[kind];
  return file.size > limit ? fill(tray.dataset.over, {size: megabytes(file.size), limit: limit >> 20}) : "";
}

function entryOf(file, input, tray, thumbs, remove) {
  const entry = $("#attached").content.firstElementChild.cloneNode(true), button = $("button", entry);
  const problem = problemOf(file, input, tray), thumb = thumbs.get(file);
  $("bdi", entry).textContent = file.name;
  $("small", entry).textContent = problem || megabytes(file.size);
  entry.classList.toggle("over", Boolean(problem));
  button.ariaLabel = button.title = fill(button.ariaLabel, {name: file.name});
  button.onclick = remove;
  if (thumb) $(".thumb", entry).replaceWith(thumb);
  else thumbs.set(file, $(".thumb", entry));
  if (!thumb && !problem && file.type.startsWith("image/")) draw(file, thumbs.get(file)).catch(() => {});
  return entry;
}

function preparedEntry(reply, remove) {
  const entry = $("#prepared").content.firstElementChild.cloneNode(true), button = $("button", entry);
  if (reply.picture) $(".thumb", entry).replaceChildren(pictureOf(reply));
  $("bdi", entry).textContent = reply.title;
  $("small", entry).textContent = reply.says ?? "";
  $("input", entry).value = reply.id;
  button.ariaLabel = button.title = fill(button.ariaLabel, {name: reply.title});
  button.onclick = remove;
  return entry;
}

/** What the operator sees of a canned reply until the server has rendered it. */
function cardOf(reply) {
  const card = document.createElement("p"), title = document.createElement("b");
  title.textContent = reply.title;
  card.append(...(reply.picture ? [pictureOf(reply)] : []), title);
  return card;
}

const pictureOf = ({picture, title}) => Object.assign(new Image(), {src: picture, alt: title});

/** Draw a picture: the page may show no picture from an address of the browser. */
async function draw(file, thumb) {
  const picture = await createImageBitmap(file), canvas = document.createElement("canvas");
  const scale = Math.min(1, 160 / Math.max(picture.width, picture.height));
  canvas.width = Math.max(1, picture.width * scale);
  canvas.height = Math.max(1, picture.height * scale);
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
  picture.close();
  canvas.role = "img";
  canvas.ariaLabel = file.name;
  thumb.replaceChildren(canvas);
}
