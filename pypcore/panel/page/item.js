// One item: its picture, figures, log, attempts, products, and the commands that tell or do more.
import { small } from "./charts.js";
import { bytes, count, duration, moment, number } from "./format.js";
import { h } from "./dom.js";
import { command } from "./job.js";
import { pill } from "./states.js";

export function itemPage(state) {
  const { item, job } = state;
  const base = `/api/jobs/${job.id}/items/${item.item}`;
  const pictures = item.products.filter((one) => one.picture).reverse();
  const used = item.used;
  return [
    h("header", { class: "head", "data-key": `head-${item.item}` },
      h("a", { class: "back always", href: `#/${job.id}` }, `‹ ${job.name}`),
      h("div", { class: "row wrap" }, h("h1", { id: "title", tabindex: "-1" }, item.name), pill(item.outcome), h("span", { class: "dim" }, `item ${count(item.item + 1)} of ${count(job.items)}`), h("span", { class: "space" }),
        h("a", { class: "button", href: `#/${job.id}/item/${Math.max(0, item.item - 1)}`, "aria-disabled": item.item === 0 ? "true" : null }, "‹ Previous"),
        h("a", { class: "button", href: `#/${job.id}/item/${Math.min(job.items - 1, item.item + 1)}`, "aria-disabled": item.item + 1 >= job.items ? "true" : null }, "Next ›")),
      h("p", { class: "path" }, h("code", null, item.input), h("span", { class: "dim" }, ` ${bytes(item.bytes)}`))),
    item.message ? h("section", { class: "sheet failures", "data-key": "message" }, h("p", { class: "message" }, item.message), item.advice ? h("p", { class: "dim" }, item.advice, ":") : null, command(item.commands.fix)) : null,
    pictures.map((one) => h("section", { class: "sheet", "data-key": `picture-${item.item}-${one.kind}` }, h("a", { href: `${base}/picture/${one.kind}`, target: "_blank", rel: "noopener" }, h("img", { class: "picture", src: `${base}/picture/${one.kind}`, alt: `${one.kind} of ${item.name}` })))),
    h("div", { class: "two", "data-key": "facts" },
      item.figures.length ? h("section", { class: "sheet", "data-key": "figures" }, h("h2", null, "Figures"), facts(item.figures.map((one) => [one.label, `${number(one.value)}${one.unit ? ` ${one.unit}` : ""}`]))) : null,
      h("section", { class: "sheet", "data-key": "used" }, h("h2", null, "Used"), facts([["Time", duration(used.wall_s)], ["CPU time", duration(used.cpu_s)], ["Memory at most", used.peak_mib ? `${number(used.peak_mib / 1024)} GB` : ""], ["Threads", used.threads ?? ""], ["On", used.host ?? ""]].filter(([, value]) => value !== ""))),
      item.lists.map((one) => h("section", { class: "sheet", "data-key": one.name }, h("h2", null, one.label, one.unit ? `, ${one.unit}` : ""), small(`list-${one.name}`, one, state.wide.half)))),
    h("section", { class: "sheet", "data-key": "log" }, h("div", { class: "row" }, h("h2", { id: "log-title" }, "Log"), h("span", { class: "space" }), h("button", { type: "button", class: "quiet", "data-do": "copy-log" }, "Copy")),
      h("pre", { class: "log tall", id: "log", tabindex: "0", "aria-labelledby": "log-title" }, item.log.trimEnd() || (item.outcome === "waiting" ? "not begun yet" : "it said nothing"))),
    item.attempts.length ? h("section", { class: "sheet", "data-key": "attempts" }, h("h2", null, "Attempts"), h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Attempts" }, h("table", { class: "items" }, h("thead", null, h("tr", null, ["Attempt", "State", "When", "Took", "On", "Why"].map((one) => h("th", { scope: "col" }, one)))),
      h("tbody", null, item.attempts.map((one) => h("tr", null, h("td", null, h("code", null, one.attempt)), h("td", null, one.event === "begin" ? "begun" : pill(one.outcome)), h("td", null, moment(one.time)), h("td", null, duration(one.wall_s)), h("td", null, one.host ?? ""), h("td", null, one.message ?? ""))))))) : null,
    item.products.length ? h("section", { class: "sheet", "data-key": "products" }, h("h2", null, "Products"), facts(item.products.map((one) => [one.kind, [h("code", null, one.path), h("span", { class: "dim" }, one.there ? ` ${bytes(one.bytes)}` : " not there, or outside the job's folder")]]))) : null,
    h("section", { class: "sheet", "data-key": "commands" }, h("h2", null, "In a terminal"), command(item.commands.show), command(item.commands.log)),
  ];
}

function facts(rows) {
  return h("table", { class: "facts-table" }, h("tbody", null, rows.map(([name, value]) => h("tr", null, h("th", { scope: "row" }, name), h("td", null, value)))));
}
