// The table of a job's items, a page at a time: the server chooses, sorts and cuts.
import { count, duration, moment, number } from "./format.js";
import { h } from "./dom.js";
import { chips, pill } from "./states.js";

export const PAGE = 50;

export function table(state) {
  const { job, items } = state, told = items.page;
  const found = told ? told.total : 0, first = items.offset;
  return [
    h("div", { class: "row wrap" }, h("h2", { id: "items-title", tabindex: "-1" }, "Items"), h("span", { class: "dim" }, told ? `${count(found)} shown of ${count(job.items)}` : ""), h("span", { class: "space" }),
      h("label", { class: "find" }, h("span", { class: "unseen" }, "Find items by name"), h("input", { id: "find", type: "search", placeholder: "Find by name  /", autocomplete: "off", spellcheck: "false", maxlength: 200 }))),
    h("div", { class: "chips" }, chips(job.counts, items.outcomes), items.outcomes.length || items.text ? h("button", { type: "button", class: "link", "data-do": "all-items" }, "show all") : null),
    told ? h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table of items" }, h("table", { class: "items" },
      h("thead", null, h("tr", null, heading("#", "", items), heading("Item", "name", items), heading("State", "outcome", items), told.columns.map((one) => heading(one.unit ? `${one.label}, ${one.unit}` : one.label, one.name, items, true)), heading("Took", "wall_s", items, true), heading("Ended", "ended", items, true))),
      h("tbody", null, told.rows.map((row) => line(job, row, told.columns.length))))) : h("p", { class: "dim" }, "Reading …"),
    found > PAGE ? h("div", { class: "row pager" },
      h("button", { type: "button", "data-do": "page", "data-offset": 0, disabled: first === 0 }, "First"),
      h("button", { type: "button", "data-do": "page", "data-offset": Math.max(0, first - PAGE), disabled: first === 0 }, "Previous"),
      h("span", null, `${count(first + 1)} to ${count(Math.min(found, first + PAGE))} of ${count(found)}`),
      h("button", { type: "button", "data-do": "page", "data-offset": first + PAGE, disabled: first + PAGE >= found }, "Next"),
      h("button", { type: "button", "data-do": "page", "data-offset": Math.floor((found - 1) / PAGE) * PAGE, disabled: first + PAGE >= found }, "Last")) : null,
    told && !found ? h("p", { class: "empty" }, "No item is like this.") : null,
  ];
}

function heading(label, name, items, right = false) {
  const sorted = items.sort === name;
  return h("th", { scope: "col", class: right ? "right" : null, "aria-sort": sorted ? (items.descending ? "descending" : "ascending") : null },
    h("button", { type: "button", "data-do": "sort", "data-name": name }, label, h("span", { "aria-hidden": "true" }, sorted ? (items.descending ? " ↓" : " ↑") : "")));
}

function line(job, row, columns) {
  const values = row.values.some((one) => one !== null) || !row.message
    ? row.values.map((one) => h("td", { class: "right" }, number(one)))
    : columns ? h("td", { colspan: columns, class: "bad-text cut" }, row.message) : null;
  return h("tr", { "data-key": row.item }, h("td", { class: "dim" }, row.item + 1),
    h("td", { class: "cut" }, h("a", { href: `#/${job.id}/item/${row.item}` }, row.name), !columns && row.message ? h("div", { class: "bad-text cut" }, row.message) : null),
    h("td", null, pill(row.outcome)), values,
    h("td", { class: "right dim" }, duration(row.wall_s)), h("td", { class: "right dim" }, moment(row.ended)));
}
