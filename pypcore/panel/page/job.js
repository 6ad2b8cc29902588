// One job: how far it is, its phases, what went wrong, its figures, its items, what it asked for and used.
import { bars, course, throughput } from "./charts.js";
import { count, duration, moment, number } from "./format.js";
import { h } from "./dom.js";
import { table } from "./items.js";
import { bar, chips, pill, ring } from "./states.js";

export function jobPage(state) {
  const { job } = state;
  return [
    head(job, state),
    vitals(job),
    h("section", { class: "sheet", "data-key": "progress", "aria-label": "Progress" }, bar(job.counts, job.items, job.name), h("div", { class: "chips" }, chips(job.counts, state.items.outcomes))),
    flow(job),
    failures(job, state),
    now(job, state),
    figures(state),
    h("section", { class: "sheet", "data-key": "items", id: "items", "aria-labelledby": "items-title" }, table(state)),
    resources(state),
    request(state),
  ];
}

/** A command to copy. */
export function command(text, label = "Copy the command") {
  return text && h("div", { class: "command" }, h("code", { tabindex: "0" }, text), h("button", { type: "button", "data-do": "copy", "data-text": text, "aria-label": `${label}: ${text}` }, "Copy"));
}

function head(job, state) {
  const control = state.session.control;
  return h("header", { class: "head", "data-key": "head" },
    h("a", { class: "back", href: "#/" }, "‹ Jobs"),
    h("div", { class: "row wrap" }, h("h1", { id: "title", tabindex: "-1" }, job.name), pill(job.state), h("span", { class: "tag" }, job.operation), job.where ? h("span", { class: "dim" }, job.where === "SLURM" ? "on SLURM" : `on ${job.where}`) : null, h("span", { class: "space" }),
      control && job.state === "running" ? [h("button", { type: "button", "data-do": "cancel" }, "Stop after the items in hand"), h("button", { type: "button", class: "danger", "data-do": "cancel-now" }, "Stop now")] : null,
      control && job.state !== "running" && job.resume ? h("button", { type: "button", class: "main-button", "data-do": "resume" }, "Resume") : null),
    h("p", { class: "path" }, h("code", null, job.folder), " ", h("button", { type: "button", class: "quiet small", "data-do": "copy", "data-text": job.folder, "aria-label": "Copy the path of the job" }, "Copy")),
    job.message ? h("p", { class: "note" }, job.message) : null,
    job.resume && job.state !== "running" ? h("div", null, h("p", { class: "dim" }, "Items are missing. Go on with:"), command(job.resume)) : null);
}

function tile(name, value, more, kind = "") {
  return h("div", { class: `tile ${kind}` }, h("dt", null, name), h("dd", null, h("span", { class: "big" }, value), more ? h("span", { class: "dim" }, more) : null));
}

function vitals(job) {
  const running = job.state === "running", over = running ? Date.now() / 1000 : (job.ended ?? job.last ?? job.started), seconds = job.started ? over - job.started : null;
  const perHour = job.pace && (job.pace.per_hour >= 7200 ? [number(job.pace.per_hour / 3600), "a second"] : [number(job.pace.per_hour), "an hour"]);
  const idle = running && job.last ? Date.now() / 1000 - job.last : 0;
  return h("div", { class: "vitals", "data-key": "vitals" },
    ring(job.counts.done, job.items),
    h("dl", null,
      tile("Done", count(job.counts.done), `of ${count(job.items)} items`),
      running ? tile("Pace", perHour ? perHour[0] : "–", perHour ? `${perHour[1]}, over ${duration(job.pace.over_s)}` : "no item has ended yet") : null,
      running ? tile("Left", job.pace ? duration(job.pace.left_s) : "–", job.pace ? `until ${moment(Date.now() / 1000 + job.pace.left_s)}` : "not known yet") : null,
      tile("Went wrong", count(job.bad), job.bad ? `${job.failures.length} ${job.failures.length === 1 ? "cause" : "causes"}, see below` : "nothing", job.bad ? "bad" : ""),
      running && idle > 120 ? tile("Last item", `${duration(idle)} ago`, "", "halted") : null,
      seconds !== null ? tile(running ? "Running for" : "Took", duration(seconds), `run ${job.run}, begun ${moment(job.started)}`) : tile("Not begun", "–", "no run yet")));
}

function flow(job) {
  return h("section", { "data-key": "flow", "aria-label": "Phases" }, h("ol", { class: "flow" }, job.phases.map((one) => h("li", { class: `phase ${one.state === "done" ? "is-done" : ""}` },
    h("div", { class: "row" }, h("h2", null, one.phase), pill(one.state)),
    one.detail ? h("p", { class: one.state === "failed" || one.state === "error" ? "bad-text" : "dim" }, one.detail) : null,
    one.counts ? [bar(one.counts, job.items, one.phase), h("p", { class: "dim" }, Object.entries(one.counts).filter(([, many]) => many).map(([what, many]) => `${count(many)} ${what}`).join(" · "))] : null,
    one.elements ? h("p", { class: "dim" }, "SLURM elements: ", Object.entries(one.elements).filter(([, many]) => many).map(([what, many]) => `${count(many)} ${what}`).join(" · ")) : null,
    one.note ? h("p", { class: "note" }, one.note) : null,
    one.pending.map((why) => h("p", { class: why.never ? "pending bad" : "pending" }, h("b", null, `${count(why.count)} pending`), `: ${why.meaning}`, why.reason ? h("span", { class: "dim" }, ` (${why.reason})`) : null, h("br"), h("span", { class: "dim" }, why.never ? `Will not start by itself: ${why.advice}` : why.advice))),
    one.products?.length ? h("p", { class: "dim" }, one.products.map((kind) => h("span", { class: "product" }, h("b", null, kind), " ", h("code", null, job.products[kind] ?? "")))) : null,
    one.command ? command(one.command) : null))));
}

function failures(job, state) {
  if (!job.failures.length) return null;
  return h("section", { class: "sheet failures", id: "failures", "data-key": "failures", "aria-labelledby": "failures-title" },
    h("h2", { id: "failures-title", tabindex: "-1" }, "What went wrong"),
    job.failures.map((cause) => h("article", { class: "cause", "data-key": `${cause.outcome} ${cause.message}` },
      h("div", { class: "row" }, pill(cause.outcome), h("b", null, `${count(cause.count)} ${cause.count === 1 ? "item" : "items"}`)),
      h("p", { class: "message" }, cause.message || "it left no word"),
      cause.log.length ? h("pre", { class: "log", tabindex: "0", "aria-label": "The end of its log" }, cause.log.join("\n")) : null,
      h("p", { class: "dim" }, cause.advice, ":"),
      command(cause.command),
      state.session.control && job.state !== "running" ? h("button", { type: "button", "data-do": "resume", "data-command": cause.command }, "Do it") : null,
      h("p", { class: "names" }, cause.items.map((one) => h("a", { href: `#/${job.id}/item/${one.item}` }, one.name)), cause.count > cause.items.length ? h("button", { type: "button", class: "link", "data-do": "filter", "data-outcome": cause.outcome }, `and ${count(cause.count - cause.items.length)} more`) : null))));
}

function now(job, state) {
  const parts = [];
  if (job.throughput) parts.push(h("section", { class: "sheet", "data-key": "ended" }, h("h2", null, "Items ended"), throughput("throughput", job.throughput, job.in_hand.length ? state.wide.half : state.wide.full)));
  if (job.in_hand.length) {
    const most = Math.max(...job.in_hand.map((one) => one.for_s), 1);
    parts.push(h("section", { class: "sheet", "data-key": "hand" }, h("h2", null, "In hand ", h("span", { class: "dim" }, count(job.counts.running))), h("ul", { class: "hand" }, job.in_hand.slice(0, 8).map((one) => h("li", null, h("a", { href: `#/${job.id}/item/${one.item}` }, one.name), h("span", { class: "dim" }, duration(one.for_s)), h("svg", { class: "meter thin", viewBox: "0 0 1000 10", preserveAspectRatio: "none", "aria-hidden": "true" }, h("rect", { class: "rest", width: 1000, height: 10 }), h("rect", { class: "running", width: (1000 * one.for_s) / most, height: 10 })))))));
  }
  const latest = job.latest.length ? h("section", { class: "sheet", "data-key": "latest" }, h("h2", null, "Latest"), h("ul", { class: "pictures" }, job.latest.map((one) => h("li", { "data-key": one.item }, h("a", { href: `#/${job.id}/item/${one.item}` }, h("img", { src: `/api/jobs/${job.id}/items/${one.item}/small/${one.kind}`, alt: "", loading: "lazy", width: 240, height: 128 }), h("span", null, one.name)))))) : null;
  return [parts.length ? h("div", { class: "two", "data-key": "now" }, parts) : null, latest];
}

function figures(state) {
  const { figures: told, job } = state;
  if (!told || !(told.figures.length || told.same.length)) return null;
  return h("section", { class: "sheet", "data-key": "figures", "aria-labelledby": "figures-title" },
    h("div", { class: "row wrap" }, h("h2", { id: "figures-title" }, "Figures"), told.whole ? null : h("span", { class: "dim" }, "still reading …"), h("span", { class: "space" }),
      h("button", { type: "button", class: "quiet", "data-do": "by", "aria-label": "Change between time of acquisition and order of items" }, state.by === "time" ? "by time of acquisition" : "by order of items")),
    h("div", { class: "chips" }, told.figures.map((one) => h("button", { type: "button", class: "chip", "data-do": "figure", "data-name": one.name, "aria-pressed": String(state.chosen.includes(one.name)) }, one.label, " ", h("b", null, number(one.median)), one.unit ? h("span", { class: "dim" }, ` ${one.unit}`) : null))),
    state.chosen.map((name) => state.drawn.get(name)).filter(Boolean).map((one) => h("figure", { class: "figure", "data-key": one.name },
      h("figcaption", null, h("b", null, one.label), one.unit ? ` (${one.unit})` : "", h("span", { class: "dim" }, ` median ${number(one.median)}, 5–95 %: ${number(one.low)} to ${number(one.high)}, extremes ${number(one.least)} and ${number(one.most)}; ${one.by === "time" ? "over the time when files were written" : one.timed ? "over the items in order" : "over the items in order: the files don't tell when they were recorded"}`)),
      h("div", { class: "charts" }, course(`course-${one.name}`, one, state.wide.course), bars(`bars-${one.name}`, one, state.wide.bars)))),
    told.same.length ? h("p", { class: "dim" }, "The same for all: ", told.same.map((one) => `${one.label} ${number(one.median)}${one.unit ? ` ${one.unit}` : ""}`).join(", "), ".") : null,
    h("p", { class: "unseen" }, `A dot of a course leads to its item in ${job.name}; by keyboard, sort the table of items by the figure.`));
}

const WORDS = { memory: ["Memory of a task", (mib) => `${number(mib / 1024)} GB`], threads: ["Threads kept busy", number], walltime: ["Walltime of a bundle", duration] };

function resources(state) {
  const told = state.resources;
  if (!told) return null;
  const title = h("h2", { id: "resources-title" }, "Asked against used");
  const part = (inside) => h("section", { class: "sheet", "data-key": "resources", "aria-labelledby": "resources-title" }, title, inside);
  if (!told.used) return part(h("p", { class: "dim" }, "Measured once an item has finished."));
  return part([
    told.used.phases.map((phase) => h("div", { class: "use", "data-key": phase.phase }, h("h3", null, phase.phase, h("span", { class: "dim" }, ` ${count(phase.tasks)} measured${phase.gres ? `, gres ${phase.gres} (not measured)` : ""}`)),
      Object.entries(WORDS).map(([name, [label, write]]) => gauge(label, phase[name], write)))),
    h("p", null, "Enough would have been:"), command(told.used.flags, "Copy the options"),
    h("p", { class: "dim" }, `An item takes ${duration(told.used.seconds_per_item)}. Enough is the 99th percentile of what was used and 20 % more.`),
  ]);
}

function gauge(label, use, write) {
  const end = Math.max(use.asked, use.most) || 1, at = (value) => (1000 * value) / end;
  const kind = use.most > use.asked ? "bad" : use.share < 0.3 ? "halted" : "done";
  const words = `${label}: asked ${write(use.asked)}, median ${write(use.median)}, 99 % of tasks within ${write(use.high)}, most ${write(use.most)}`;
  return h("div", { class: "gauge" }, h("span", null, label),
    h("svg", { class: "meter", viewBox: "0 0 1000 12", preserveAspectRatio: "none", role: "img", "aria-label": words },
      h("rect", { class: "rest", width: at(use.asked), height: 12 }), h("rect", { class: `${kind} faint`, width: at(use.most), height: 12 }), h("rect", { class: kind, width: at(use.high), height: 12 }), h("rect", { class: "mid", x: Math.max(0, at(use.median) - 2), width: 4, height: 12 })),
    h("span", { class: "dim" }, `${write(use.high)} of ${write(use.asked)} · ${Math.round(100 * use.share)} %`));
}

function request(state) {
  const told = state.request;
  const rows = told && [["Operation", `${told.operation}, version ${told.operation_version}`], ["pypcore", told.pypcore], ["Begun in", told.root], ["Inputs", told.inputs.join("  ")], ...Object.entries(told.parameters).filter(([, value]) => value !== null).map(([name, value]) => [name, Array.isArray(value) ? value.join(", ") : value])];
  return h("details", { class: "sheet", "data-key": "request", id: "request" }, h("summary", null, h("h2", null, "Request")),
    told ? [told.command ? command(told.command) : null, h("table", { class: "facts-table" }, h("tbody", null, rows.map(([name, value]) => h("tr", null, h("th", { scope: "row" }, name), h("td", null, typeof value === "object" ? JSON.stringify(value) : String(value))))))] : h("p", { class: "dim" }, "Reading …"));
}
