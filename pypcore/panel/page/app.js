// The page: what is looked at (in the address), what is known, and what a click or key does.
import { under } from "./charts.js";
import { percent } from "./format.js";
import { h, show } from "./dom.js";
import { itemPage } from "./item.js";
import { PAGE } from "./items.js";
import { jobPage } from "./job.js";
import { jobList } from "./jobs.js";

const byId = (id) => document.getElementById(id);
const FIRST_FIGURES = 2; // are shown before any is chosen
const EVERY = { job: 900, items: 1500, figures: 4000, resources: 8000, reading: 500 }; // ms between two readings of a part at least

const state = {
  session: { control: false, token: "", folders: [] },
  jobs: new Map(), // id -> card
  at: { job: null, item: null },
  by: localStorage.getItem("by") ?? "time",
  wide: { course: 640, bars: 320, half: 480, full: 960 },
  lost: "",
};
forget();

/** What is known of the job that is looked at. */
function forget() {
  Object.assign(state, { job: null, item: null, figures: null, drawn: new Map(), chosen: [], picked: false, whole: false, resources: null, request: null, problem: "" });
  state.items = { outcomes: [], text: "", sort: "", descending: false, offset: 0, page: null };
  state.read = {};
}

// ---- asking

async function ask(path, options) {
  const answer = await fetch(path, { ...options, credentials: "same-origin" });
  const told = await answer.json().catch(() => ({ error: `the panel answered ${answer.status}` }));
  if (!answer.ok) throw Object.assign(new Error(told.error), { status: answer.status });
  return told;
}

/** Read a part of the job, no more often than EVERY says; what comes for another job is left. */
async function read(part, path, take, now = false) {
  const mine = (state.read[part] ??= { last: 0, busy: false, again: false });
  if (mine.busy) {
    mine.again = true;
    return;
  }
  const wait = now ? 0 : Math.max(0, mine.last + (EVERY[part] ?? 0) - Date.now());
  const { job } = state.at;
  mine.busy = true;
  try {
    if (wait) await new Promise((go) => setTimeout(go, wait));
    if (state.at.job !== job || state.read[part] !== mine) return;
    const told = await ask(path());
    if (state.at.job !== job || state.read[part] !== mine) return;
    take(told);
    draw();
  } catch (error) {
    if (state.at.job === job && state.read[part] === mine) complain(error);
  } finally {
    mine.last = Date.now();
    mine.busy = false;
    if (mine.again && state.read[part] === mine) {
      mine.again = false;
      read(part, path, take);
    }
  }
}

function complain(error) {
  if (error.status === 403) state.lost = "The panel was started anew: open the link that its terminal shows.";
  else if (error instanceof TypeError) state.lost = "The panel doesn't answer; was it stopped?";
  else state.problem = error.message;
  draw();
}

const base = () => `/api/jobs/${state.at.job}`;
const readJob = (now) => read("job", base, (told) => {
  const before = state.job;
  Object.assign(state, { job: told, problem: "" });
  if (before && before.state !== told.state) say(`${told.name} is ${told.state}: ${told.counts.done} of ${told.items} done`);
}, now);
const readItems = (now) => read("items", () => {
  const { outcomes, text, sort, descending, offset } = state.items;
  const query = new URLSearchParams({ text, sort, descending: descending ? "1" : "", offset, limit: PAGE });
  for (const one of outcomes) query.append("outcome", one);
  return `${base()}/items?${query}`;
}, (told) => {
  state.items.page = told;
}, now);
const readFigures = (now) => read("figures", () => `${base()}/figures`, (told) => {
  state.figures = told;
  if (!state.picked) state.chosen = told.figures.slice(0, FIRST_FIGURES).map((one) => one.name);
  for (const name of state.chosen) readFigure(name);
  if (!told.whole) setTimeout(() => readFigures(true), EVERY.reading);
  else if (!state.whole) readResources(true); // what was measured of some items only
  state.whole = told.whole;
}, now);
const readFigure = (name) => read(`figure ${name}`, () => `${base()}/figures/${encodeURIComponent(name)}?by=${state.by}`, (told) => state.drawn.set(name, told), true);
const readResources = (now) => read("resources", () => `${base()}/resources`, (told) => {
  state.resources = told;
}, now);
const readItem = () => read("item", () => `${base()}/items/${state.at.item}`, (told) => {
  if (told.item === state.at.item) state.item = told;
}, true);

function readAll(now) {
  readJob(now);
  if (state.at.item !== null) {
    readItem();
    return;
  }
  readItems(now);
  readFigures(now);
  readResources(now);
}

// ---- drawing

let waits = false;

/** Draw at the next frame, once however often it is asked for. */
function draw() {
  if (waits) return;
  waits = true;
  requestAnimationFrame(() => {
    waits = false;
    drawNow();
  });
}

function drawNow() {
  const { at, job, item } = state;
  byId("frame").dataset.looks = at.job ? "at-job" : "at-list";
  show(byId("jobs"), jobList(state.jobs, at.job, state.session.folders));
  measure();
  const live = byId("live");
  live.className = state.lost ? "live off" : "live";
  live.textContent = state.lost || "live";
  const ready = at.job && job && (at.item === null || item?.item === at.item);
  const page = ready ? (at.item === null ? jobPage(state) : itemPage(state)) : at.job ? [h("p", { class: "empty" }, "Reading …")] : [welcome()];
  show(byId("main"), state.problem ? h("p", { class: "note bad", "data-key": "problem", role: "alert" }, state.problem) : null, page);
  document.title = at.job && job ? `${percent(job.counts.done, job.items)} ${at.item !== null && item ? item.name : job.name} – pypcore` : "pypcore panel";
  if (state.wantsFocus && ready) {
    state.wantsFocus = false;
    byId("main").scrollTop = 0;
    byId("title")?.focus({ preventScroll: true });
  }
}

function welcome() {
  return h("p", { class: "empty" }, state.jobs.size ? "Choose a job." : "No job yet.");
}

function measure() {
  const main = byId("main"), inside = Math.max(240, Math.min(main.clientWidth, 1280) - (main.clientWidth < 620 ? 56 : 88));
  const narrow = inside < 620;
  state.wide = { course: narrow ? inside : Math.round(inside * 0.64), bars: narrow ? inside : Math.round(inside * 0.34), half: narrow ? inside : Math.round(inside / 2 - 28), full: inside };
}

function say(text) {
  byId("said").textContent = text;
}

// ---- looking at something

function go() {
  const [, job, , item] = location.hash.split("/");
  const to = { job: /^[0-9a-f]{12}$/.test(job ?? "") ? job : null, item: /^\d{1,9}$/.test(item ?? "") ? Number(item) : null };
  const other = to.job !== state.at.job;
  state.at = to;
  if (other) forget();
  state.item = null;
  state.problem = "";
  state.wantsFocus = state.began;
  state.began = true;
  if (to.job) readAll(true);
  draw();
}

function listen() {
  const events = new EventSource("/api/events");
  events.onopen = () => {
    state.lost = "";
    draw();
  };
  events.onerror = () => {
    state.lost = "The panel doesn't answer; was it stopped?";
    draw();
    if (events.readyState === EventSource.CLOSED) setTimeout(() => ask("/api/session").then(listen, complain), 3000);
  };
  events.onmessage = (message) => {
    const { jobs, gone } = JSON.parse(message.data);
    for (const id of gone) state.jobs.delete(id);
    for (const one of jobs) {
      state.jobs.set(one.id, one);
      if (one.id === state.at.job) readAll(false);
    }
    if (!state.at.job && state.jobs.size && !state.opened && matchMedia("(min-width: 900px)").matches) {
      openFirst();
      go();
    }
    draw();
  };
}

/** On a wide screen the job that was begun last is looked at first. */
function openFirst() {
  state.opened = true;
  const [first] = [...state.jobs.values()].filter((one) => one.state !== "unreadable").sort((one, other) => (other.state === "running") - (one.state === "running") || (other.started ?? 0) - (one.started ?? 0));
  if (first) history.replaceState(null, "", `#/${first.id}`);
}

// ---- doing

function setItems(change) {
  Object.assign(state.items, { offset: 0 }, change);
  readItems(true);
  draw();
}

async function copy(text, button) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = document.createElement("textarea"); // an older way, where the clipboard is not to be had
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  say("copied");
  button.textContent = "Copied";
  setTimeout(() => {
    button.textContent = "Copy";
  }, 1500);
}

async function change(what, wanted) {
  try {
    const told = await ask(`${base()}/${what}`, { method: "POST", headers: { "Content-Type": "application/json", "X-Pypcore-Token": state.session.token }, body: JSON.stringify(wanted) });
    say(told.said);
    state.problem = "";
  } catch (error) {
    complain(error);
  }
  readAll(true);
}

/** What of a command's options the panel may give: those of ./control.py. */
function optionsOf(text) {
  const found = {};
  if (text.includes(" --retry-failed")) found.retry_failed = true;
  for (const [, name, value] of text.matchAll(/ --(memory|walltime|item-timeout) (\S+)/g)) found[name.replace("-", "_")] = value;
  return found;
}

const deeds = {
  theme: () => {
    const dark = document.documentElement.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
    document.documentElement.dataset.theme = dark === "dark" ? "light" : "dark";
    localStorage.setItem("theme", document.documentElement.dataset.theme);
  },
  help: () => help(),
  "close-help": () => byId("help").close(),
  copy: (button) => copy(button.dataset.text, button),
  "copy-log": (button) => copy(state.item.log, button),
  filter: (button) => {
    const { outcome } = button.dataset, { outcomes } = state.items;
    setItems({ outcomes: outcomes.includes(outcome) ? outcomes.filter((one) => one !== outcome) : [...outcomes, outcome] });
    if (!byId("items").contains(button)) byId("items").scrollIntoView({ block: "start" });
  },
  "all-items": () => {
    byId("find").value = "";
    setItems({ outcomes: [], text: "" });
    byId("items-title").focus({ preventScroll: true });
  },
  sort: (button) => {
    const { name } = button.dataset, { sort, descending } = state.items;
    setItems({ sort: name, descending: sort === name ? !descending : false });
  },
  page: (button) => {
    setItems({ offset: Number(button.dataset.offset) });
    byId("items-title").focus();
  },
  figure: (button) => {
    const { name } = button.dataset;
    state.picked = true;
    state.chosen = state.chosen.includes(name) ? state.chosen.filter((one) => one !== name) : [...state.chosen, name];
    if (state.chosen.includes(name)) readFigure(name);
    draw();
  },
  by: () => {
    state.by = state.by === "time" ? "order" : "time";
    localStorage.setItem("by", state.by);
    for (const name of state.chosen) readFigure(name);
    draw();
  },
  cancel: () => change("cancel", { now: false }),
  "cancel-now": () => confirm("Stop now? The items in hand are ended and done again by resume.") && change("cancel", { now: true }),
  resume: (button) => change("resume", optionsOf(button.dataset.command ?? "")),
};

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-do]");
  if (button) {
    deeds[button.dataset.do]?.(button);
    return;
  }
  const chart = event.target.closest("svg[data-chart]");
  const point = chart && under(chart, event);
  if (point) location.hash = `#/${state.at.job}/item/${point.item}`;
});

document.addEventListener("pointermove", (event) => {
  const chart = event.target.closest?.("svg[data-chart]");
  const tip = byId("tip");
  const point = chart && under(chart, event);
  if (!point) {
    tip?.remove();
    return;
  }
  chart.querySelector(".near").setAttribute("cx", point.place[0]);
  chart.querySelector(".near").setAttribute("cy", point.place[1]);
  const shown = tip ?? document.body.appendChild(h("div", { id: "tip", class: "tip" }));
  shown.textContent = point.text;
  shown.style.left = `${Math.min(event.clientX + 14, innerWidth - shown.offsetWidth - 8)}px`;
  shown.style.top = `${event.clientY - 34}px`;
});

let typing = 0;
document.addEventListener("input", (event) => {
  if (event.target.id !== "find") return;
  clearTimeout(typing);
  typing = setTimeout(() => setItems({ text: event.target.value }), 150);
});

document.addEventListener("toggle", (event) => {
  if (event.target.id === "request" && event.target.open && !state.request) read("request", () => `${base()}/request`, (told) => {
    state.request = told;
  }, true);
}, true);

// ---- keys

const KEYS = [["j  k", "next, previous job or item"], ["/", "find items by name"], ["f", "what went wrong"], ["i", "the items"], ["l", "the log of an item"], ["Esc", "back"], ["t", "light or dark"], ["?", "this help"]];

function help() {
  const dialog = byId("help");
  show(dialog, h("h2", { id: "help-title" }, "Keys"), h("table", { class: "facts-table" }, h("tbody", null, KEYS.map(([key, does]) => h("tr", null, h("th", { scope: "row" }, h("kbd", null, key)), h("td", null, does))))),
    h("p", { class: "dim" }, `Tab and Enter reach everything. The page follows the jobs below ${state.session.folders.join(", ")} and ${state.session.control ? "may cancel and resume them" : "only reads"}.`),
    h("button", { type: "button", "data-do": "close-help", autofocus: true }, "Close"));
  dialog.showModal();
}

function step(by) {
  if (state.at.item !== null) {
    const to = state.at.item + by;
    if (state.job && to >= 0 && to < state.job.items) location.hash = `#/${state.at.job}/item/${to}`;
    return;
  }
  const links = [...byId("jobs").querySelectorAll("a.card")];
  const now = links.findIndex((one) => one.getAttribute("href") === `#/${state.at.job}`);
  const to = links[Math.min(links.length - 1, Math.max(0, now < 0 ? 0 : now + by))];
  if (to) location.hash = to.getAttribute("href");
}

function focusOn(id) {
  const found = byId(id);
  found?.scrollIntoView({ block: "start" });
  found?.focus({ preventScroll: true });
  return Boolean(found);
}

const strokes = {
  j: () => step(1),
  k: () => step(-1),
  "/": () => focusOn("find"),
  f: () => focusOn("failures-title"),
  i: () => focusOn("items-title"),
  l: () => focusOn("log"),
  t: () => deeds.theme(),
  "?": () => help(),
  Escape: () => {
    if (state.at.item !== null) location.hash = `#/${state.at.job}`;
    else if (state.at.job) location.hash = "#/";
  },
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || byId("help").open) return;
  if (event.target.matches("input, textarea, select")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const stroke = strokes[event.key];
  if (stroke) {
    event.preventDefault();
    stroke();
  }
});

// ---- beginning

const theme = localStorage.getItem("theme");
if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
addEventListener("hashchange", go);
addEventListener("resize", draw);
setInterval(() => state.job?.state === "running" && draw(), 1000); // clocks go on
try {
  state.session = await ask("/api/session");
  for (const one of (await ask("/api/jobs")).jobs) state.jobs.set(one.id, one);
  if (!location.hash.slice(2) && state.jobs.size && matchMedia("(min-width: 900px)").matches) openFirst();
  go();
  listen();
} catch (error) {
  complain(error);
  show(byId("main"), h("p", { class: "note bad", role: "alert" }, error.message));
}
