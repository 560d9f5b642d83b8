// The page of `graft serve`. Names of files and classes are anybody's, so they are only ever set as text.

const SHOWN = 5; // classes as bars; the others unfold
const TOGETHER = 8; // files a request
const byId = (id) => document.getElementById(id);

const HINTS = {
  image: "Pictures of any usual format. You can also paste one from the clipboard.",
  sound: "WAV, FLAC, OGG or MP3.",
  text: "Text files in UTF-8, each one text.",
  row: "JSON files, each an object of column to value.",
};
const ACCEPT = { image: "image/*", sound: "audio/*", text: "text/*", row: ".json,application/json" };

let about = null;

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

function say(text) {
  byId("said").textContent = text;
}

// What the server says, or an error in words.
async function ask(path, files) {
  const body = new FormData();
  for (const file of files) body.append("files", file, file.name);
  let response;
  try {
    response = await fetch(path, { method: "POST", body });
  } catch {
    throw new Error("The server does not answer. Is it still running?");
  }
  if (response.ok) return response;
  const said = await response.json().catch(() => ({}));
  const error = new Error(typeof said.detail === "string" ? said.detail : `The server answered ${response.status}.`);
  error.status = response.status;
  throw error;
}

function percent(p) {
  const value = 100 * p;
  if (value > 0 && value < 0.1) return "< 0.1 %";
  if (value < 100 && value > 99.9) return "> 99.9 %";
  return `${value.toFixed(1)} %`;
}

function bar([name, p]) {
  const item = make("li", "bar");
  const track = make("div", "track");
  const fill = make("div", "fill");
  fill.style.width = `${100 * p}%`;
  track.append(fill);
  track.setAttribute("aria-hidden", "true");
  item.append(make("span", "class", name), make("span", "share", percent(p)), track);
  return item;
}

function figure(url, caption, alternative) {
  const whole = make("figure");
  const image = make("img");
  image.alt = alternative;
  image.addEventListener("load", () => image.classList.toggle("sharp", image.naturalWidth < 100));
  image.addEventListener("error", () => image.replaceWith(make("p", "excerpt", "Your browser cannot show this picture.")));
  image.src = url;
  whole.append(image, make("figcaption", "", caption));
  return whole;
}

// What was given, to be seen or heard again.
function shown(file) {
  if (about.kind === "image") {
    const views = make("div", "views");
    views.append(figure(URL.createObjectURL(file), "Your picture", ""));
    return views;
  }
  if (about.kind === "sound") {
    const audio = make("audio");
    audio.controls = true;
    audio.src = URL.createObjectURL(file);
    audio.setAttribute("aria-label", file.name);
    return audio;
  }
  const excerpt = make("p", "excerpt");
  excerpt.tabIndex = 0;
  file.slice(0, 4000).text().then((text) => (excerpt.textContent = text));
  return excerpt;
}

function answered(card, file, result) {
  card.replaceChildren();
  card.classList.remove("waiting");
  if (result.error) {
    card.classList.add("bad");
    card.append(make("h3", "", "This file could not be read"), make("p", "name", file.name), make("p", "", result.error));
    return;
  }
  const views = shown(file);
  const ranked = Object.entries(result.probabilities).sort((a, b) => b[1] - a[1]);
  const none = result.none_of_these === true;
  card.append(make("h3", "", none ? "None of these" : result.predicted), make("p", "name", file.name), views);
  if (none) card.append(make("p", "tag warn", `It looks like nothing that the model knows; the nearest is ${result.predicted}.`));
  const bars = make("ul", "bars");
  bars.append(...ranked.slice(0, SHOWN).map(bar));
  card.append(bars);
  if (result.set) card.append(make("p", "tag", `Not ruled out: ${result.set.join(", ")}`));
  const more = make("div", "row more");
  if (about.shows_places) views.append(looker(views, file, result.predicted));
  if (ranked.length > SHOWN) {
    const button = make("button", "", `All ${ranked.length} classes`);
    button.type = "button";
    button.setAttribute("aria-expanded", "false");
    button.addEventListener("click", () => {
      const open = button.getAttribute("aria-expanded") === "true";
      bars.replaceChildren(...ranked.slice(0, open ? SHOWN : ranked.length).map(bar));
      button.setAttribute("aria-expanded", String(!open));
      button.textContent = open ? `All ${ranked.length} classes` : "Fewer classes";
    });
    more.append(button);
  }
  if (more.childElementCount) card.append(more);
}

// The button that asks what the network looked at, and shows it once.
function looker(views, file, label) {
  const button = make("button", "tile", "What it looked at");
  button.type = "button";
  button.addEventListener("click", async () => {
    button.disabled = true;
    say("Asking …");
    try {
      const response = await ask(`/looked_at?label=${encodeURIComponent(label)}`, [file]);
      const url = URL.createObjectURL(await response.blob());
      const text = `Bright places speak for ${label}`;
      button.replaceWith(figure(url, text, `What the network saw of ${file.name}. ${text}.`));
      say(`Shown: what the network looked at in ${file.name}.`);
    } catch (error) {
      button.disabled = false;
      say(error.message);
    }
  });
  return button;
}

async function results(files) {
  try {
    return (await (await ask("/predict", files)).json()).results;
  } catch (error) {
    // One that is too large must not cost the others their answers.
    if (error.status === 413 && files.length > 1) {
      const each = [];
      for (const file of files) each.push(...(await results([file])));
      return each;
    }
    return files.map((file) => ({ name: file.name, error: error.message }));
  }
}

async function predict(given) {
  const files = [...given];
  if (!files.length || !about) return;
  byId("answers").hidden = false;
  say(files.length === 1 ? "Asking …" : `Asking about ${files.length} files …`);
  const cards = files.map((file) => {
    const card = make("li", "card waiting");
    card.append(make("h3", "", "…"), make("p", "name", file.name));
    return card;
  });
  byId("cards").prepend(...cards);
  let unreadable = 0;
  let last = "";
  const together = Math.max(1, Math.min(TOGETHER, about.limits.files));
  for (let start = 0; start < files.length; start += together) {
    const part = files.slice(start, start + together);
    (await results(part)).forEach((result, index) => {
      answered(cards[start + index], part[index], result);
      if (result.error) unreadable += 1;
      else last = `${part[index].name}: ${result.none_of_these === true ? "none of these" : result.predicted}`;
    });
  }
  const read = files.length - unreadable;
  if (files.length === 1) say(unreadable ? `${files[0].name} could not be read.` : last);
  else say(`${read} of ${files.length} files answered${unreadable ? `, ${unreadable} could not be read` : ""}.`);
}

function takeFiles() {
  const drop = byId("drop");
  const files = byId("files");
  byId("choose").addEventListener("click", () => files.click());
  files.addEventListener("change", () => {
    predict(files.files);
    files.value = "";
  });
  // Dropped anywhere, since a browser would otherwise open the file in place of the page.
  let depth = 0;
  addEventListener("dragenter", (event) => {
    event.preventDefault();
    depth += 1;
    drop.classList.add("over");
  });
  addEventListener("dragleave", () => {
    depth = Math.max(0, depth - 1);
    drop.classList.toggle("over", depth > 0);
  });
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    depth = 0;
    drop.classList.remove("over");
    predict(event.dataTransfer.files);
  });
  addEventListener("paste", (event) => {
    const pasted = event.clipboardData.files;
    if (!pasted.length) return;
    event.preventDefault();
    predict(pasted);
  });
  byId("clear").addEventListener("click", () => {
    for (const seen of byId("cards").querySelectorAll("[src^='blob:']")) URL.revokeObjectURL(seen.src);
    byId("cards").replaceChildren();
    byId("answers").hidden = true;
    say("");
    byId("choose").focus();
  });
}

function takePictures() {
  // Browsers give a camera to pages of this machine and to those by HTTPS alone.
  if (!navigator.mediaDevices?.getUserMedia) return;
  const dialog = byId("viewfinder");
  const video = byId("video");
  let shots = 0;
  byId("camera").hidden = false;
  byId("camera").addEventListener("click", async () => {
    try {
      video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
      dialog.showModal();
    } catch {
      say("No camera could be used: there is none, or the browser was told not to give it.");
    }
  });
  dialog.addEventListener("close", () => {
    for (const track of video.srcObject?.getTracks() ?? []) track.stop();
    video.srcObject = null;
  });
  byId("leave").addEventListener("click", () => dialog.close());
  byId("shoot").addEventListener("click", () => {
    if (!video.videoWidth) return;
    const canvas = make("canvas");
    canvas.width = video.videoWidth;
    canvas.height = video.videoHeight;
    canvas.getContext("2d").drawImage(video, 0, 0);
    dialog.close();
    canvas.toBlob((blob) => predict([new File([blob], `picture ${(shots += 1)}.png`, { type: "image/png" })]), "image/png");
  });
}

function takeTexts() {
  let texts = 0;
  byId("text-form").hidden = false;
  byId("text-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const text = byId("text").value;
    if (!text.trim()) return say("Type a text first.");
    predict([new File([text], `text ${(texts += 1)}`, { type: "text/plain" })]);
  });
  byId("text").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) byId("text-form").requestSubmit();
  });
}

function takeRows() {
  let rows = 0;
  byId("row-form").hidden = false;
  about.columns.forEach((column, index) => {
    const field = make("div");
    const label = make("label", "", column);
    const input = make("input");
    input.id = `column-${index}`;
    label.htmlFor = input.id;
    field.append(label, input);
    byId("columns").append(field);
  });
  byId("row-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const row = about.columns.map((column, index) => [column, byId(`column-${index}`).value]);
    const content = JSON.stringify(Object.fromEntries(row));
    predict([new File([content], `row ${(rows += 1)}`, { type: "application/json" })]);
  });
}

async function begin() {
  try {
    about = await (await fetch("/about")).json();
  } catch {
    byId("about").textContent = "The server does not answer. Is it still running?";
    return;
  }
  const names = about.class_names;
  const some = names.slice(0, 6).join(", ") + (names.length > 6 ? ` and ${names.length - 6} more` : "");
  byId("about").textContent = `It tells ${names.length} classes of ${about.plural} apart: ${some}.`;
  const what = about.kind === "text" || about.kind === "row" ? "files" : about.plural;
  byId("drop-title").textContent = `Drop ${what === "images" ? "pictures" : what} here`;
  byId("drop-hint").textContent = HINTS[about.kind] ?? "";
  byId("files").accept = ACCEPT[about.kind] ?? "";
  byId("give").hidden = false;
  takeFiles();
  if (about.kind === "image") takePictures();
  if (about.kind === "text") takeTexts();
  if (about.kind === "row" && about.columns) takeRows();
}

begin();
