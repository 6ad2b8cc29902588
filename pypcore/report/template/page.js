"use strict";
// The table of items: searched, sorted and paged here, so that ten thousand rows cost no more than a hundred.
const { columns, rows } = JSON.parse(document.getElementById("rows").textContent);
const PAGE = 100;
const OUTCOME = 1;
const by = (id) => document.getElementById(id);
const body = by("table").tBodies[0];
let found = rows;
let page = 0;
let sorted = { column: -1, down: false };

function cell(value, column) {
  const made = document.createElement("td");
  made.textContent = value === null ? "" : value;
  if (typeof value === "number") made.className = "number";
  if (column === OUTCOME) made.className = value;
  return made;
}

function show() {
  const last = Math.max(0, Math.ceil(found.length / PAGE) - 1);
  page = Math.min(Math.max(page, 0), last);
  const first = page * PAGE;
  const shown = found.slice(first, first + PAGE).map((row) => {
    const line = document.createElement("tr");
    line.append(...row.map(cell));
    return line;
  });
  body.replaceChildren(...shown);
  const many = found.length.toLocaleString("en");
  by("found").textContent = found.length ? `${first + 1} to ${first + shown.length} of ${many}` : "none";
  by("before").disabled = page === 0;
  by("after").disabled = page === last;
}

function compare(a, b) {
  if (a === b) return 0;
  if (a === null || a === "") return 1; // what has no value comes last, up or down
  if (b === null || b === "") return -1;
  const order = typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });
  return sorted.down ? -order : order;
}

function find() {
  const text = by("search").value.toLowerCase();
  const outcome = by("outcome").value;
  found = rows.filter((row) => (!text || row[0].toLowerCase().includes(text)) && (!outcome || row[OUTCOME] === outcome));
  if (sorted.column >= 0) found = [...found].sort((a, b) => compare(a[sorted.column], b[sorted.column]));
  page = 0;
  show();
}

for (const [number, head] of [...by("table").tHead.rows[0].cells].entries()) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = columns[number];
  button.addEventListener("click", () => {
    sorted = { column: number, down: sorted.column === number && !sorted.down };
    for (const other of by("table").tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", sorted.down ? "descending" : "ascending");
    find();
  });
  head.replaceChildren(button);
}
by("search").addEventListener("input", find);
by("outcome").addEventListener("change", find);
by("before").addEventListener("click", () => { page -= 1; show(); });
by("after").addEventListener("click", () => { page += 1; show(); });
document.querySelector("form.with-script").addEventListener("submit", (event) => event.preventDefault());
document.querySelector("form.with-script").hidden = false;
show();

// A picture, as large as the window.
const large = by("large");
for (const button of document.querySelectorAll(".enlarge")) {
  button.addEventListener("click", () => {
    const image = button.querySelector("img");
    const place = large.querySelector("img");
    place.src = image.src;
    place.alt = image.alt;
    large.querySelector("p").textContent = image.alt;
    large.showModal();
  });
}
by("close").addEventListener("click", () => large.close());
large.addEventListener("click", (event) => { if (event.target === large) large.close(); });
