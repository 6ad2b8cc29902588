// Charts as SVG, small enough to be made again at every change.
import { clock, count, day, moment, number } from "./format.js";
import { h } from "./dom.js";

const HIGH = 190, LEFT = 52, BOTTOM = 24, TOP = 12, RIGHT = 10;
const drawn = new Map(); // id of a chart -> what finds the nearest point of it

/** Round steps for an axis from low to high, about `wanted` of them. */
function ticks(low, high, wanted) {
  const rough = (high - low) / Math.max(1, wanted) || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((one) => one * power >= rough) * power;
  const found = [];
  for (let at = Math.ceil(low / step) * step; at <= high + step * 1e-9; at += step) found.push(Math.abs(at) < step * 1e-9 ? 0 : at);
  return found;
}

const TIMES = [1, 5, 10, 30, 60, 300, 600, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 172800, 604800];

function timeTicks(low, high, wanted) {
  const step = TIMES.find((one) => (high - low) / one <= wanted) ?? 604800 * Math.ceil((high - low) / 604800 / wanted);
  const shift = new Date(low * 1000).getTimezoneOffset() * 60;
  const found = [];
  for (let at = Math.ceil((low - shift) / step) * step + shift; at <= high; at += step) found.push(at);
  return { found, step };
}

function yAxis(low, high, y, wide) {
  return ticks(low, high, 4).map((at) => [
    h("line", { class: "grid", x1: LEFT, x2: wide - RIGHT, y1: y(at), y2: y(at) }),
    h("text", { x: LEFT - 7, y: y(at) + 4, "text-anchor": "end" }, number(at)),
  ]);
}

function xAxis(low, high, x, wide, byTime) {
  const many = Math.max(2, Math.floor(wide / 95));
  const { found, step } = byTime ? timeTicks(low, high, many) : { found: ticks(low, high, many), step: 0 };
  const write = (at) => (!byTime ? number(at) : step >= 86400 ? day(at) : clock(at));
  return found.map((at) => [
    h("line", { class: "grid", x1: x(at), x2: x(at), y1: HIGH - BOTTOM, y2: HIGH - BOTTOM + 4 }),
    h("text", { x: x(at), y: HIGH - 5, "text-anchor": "middle" }, write(at)),
  ]);
}

const line = (points) => points.map(([x, y], n) => `${n ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");

/** The course of a figure: band from 10 % to 90 %, median, and single items as dots that lead to them. */
export function course(id, told, wide) {
  const values = [...told.points.map((one) => one[1]), ...told.steps.flatMap((one) => [one[1], one[3]])];
  const xs = told.points.map((one) => one[0]);
  let low = Math.min(...values), high = Math.max(...values);
  const { low: from, high: to } = told.histogram;
  // A few outliers may not press all others flat: they are drawn at the edge.
  if (high - low > 4 * (to - from) && to > from) [low, high] = [Math.max(low, from - (to - from)), Math.min(high, to + (to - from))];
  const pad = (high - low) * 0.06 || Math.abs(high) * 0.1 || 1;
  low = low >= 0 && low - pad < 0 ? 0 : low - pad;
  high += pad;
  const first = Math.min(...xs), last = Math.max(...xs, first + 1e-6);
  const x = (at) => LEFT + ((at - first) / (last - first)) * (wide - LEFT - RIGHT);
  const y = (at) => TOP + (1 - (Math.min(high, Math.max(low, at)) - low) / (high - low)) * (HIGH - TOP - BOTTOM);
  const steps = told.steps.length > 1 ? told.steps : [];
  const band = steps.length && told.count > steps.length
    ? h("path", { class: "band", d: `${line(steps.map((one) => [x(one[0]), y(one[3])]))}L${line(steps.toReversed().map((one) => [x(one[0]), y(one[1])])).slice(1)}Z` })
    : null;
  drawn.set(id, {
    near: (px) => nearest(told.points, (one) => Math.abs(x(one[0]) - px[0]) + 0.4 * Math.abs(y(one[1]) - px[1])),
    place: (one) => [x(one[0]), y(one[1])],
    say: (one) => `${number(one[1])} ${told.unit} · ${told.by === "time" ? moment(one[0]) : `item ${count(one[0] + 1)}`}`,
  });
  const over = told.by === "time" ? "over time of acquisition" : "over the items in order";
  return h("svg", { class: "chart course", id, viewBox: `0 0 ${wide} ${HIGH}`, role: "img", "data-chart": id, "aria-label": `${told.label} ${over}: ${inWords(told)}` },
    yAxis(low, high, y, wide), xAxis(first, last, x, wide, told.by === "time"), band,
    h("path", { class: "dots", d: told.points.map((one) => `M${x(one[0]).toFixed(1)} ${y(one[1]).toFixed(1)}h0`).join("") }),
    steps.length && told.count > steps.length ? h("path", { class: "median", d: line(steps.map((one) => [x(one[0]), y(one[2])])) }) : null,
    h("circle", { class: "near", r: 5, cx: -20, cy: -20 }));
}

/** The distribution of a figure. */
export function bars(id, told, wide) {
  const { low, high, counts, below, above } = told.histogram;
  const most = Math.max(...counts, 1);
  const end = high > low ? high : low + 1;
  const x = (at) => LEFT + ((at - low) / (end - low)) * (wide - LEFT - RIGHT);
  const y = (at) => TOP + (1 - at / most) * (HIGH - TOP - BOTTOM);
  const each = (wide - LEFT - RIGHT) / counts.length;
  return h("svg", { class: "chart", id, viewBox: `0 0 ${wide} ${HIGH}`, role: "img", "aria-label": `Distribution of ${told.label}: ${inWords(told)}` },
    yAxis(0, most, y, wide), xAxis(low, end, x, wide, false),
    counts.map((one, n) => one && h("rect", { class: "bar", x: (LEFT + n * each + 0.5).toFixed(1), width: Math.max(0.5, each - 1).toFixed(1), y: y(one).toFixed(1), height: (HIGH - BOTTOM - y(one)).toFixed(1) },
      h("title", null, `${number(low + (n * (end - low)) / counts.length)} to ${number(low + ((n + 1) * (end - low)) / counts.length)}: ${count(one)} items`))),
    told.median >= low && told.median <= end ? h("line", { class: "middle", x1: x(told.median), x2: x(told.median), y1: TOP, y2: HIGH - BOTTOM }) : null,
    below ? h("text", { x: LEFT + 3, y: TOP + 8 }, `← ${count(below)} below`) : null,
    above ? h("text", { x: wide - RIGHT, y: TOP + 8, "text-anchor": "end" }, `${count(above)} above →`) : null);
}

/** How many items ended in each part of the run. */
export function throughput(id, told, wide) {
  const high = 84, bottom = 18, most = Math.max(...told.counts, 1), each = wide / told.counts.length;
  const y = (at) => 6 + (1 - at / most) * (high - bottom - 6);
  const words = `Items ended between ${moment(told.begin)} and ${moment(told.end)}`;
  return h("svg", { class: "chart", id, viewBox: `0 0 ${wide} ${high}`, role: "img", "aria-label": words },
    h("line", { class: "grid", x1: 0, x2: wide, y1: high - bottom, y2: high - bottom }),
    told.counts.map((one, n) => one && h("rect", { class: "bar", x: (n * each + 0.5).toFixed(1), width: Math.max(0.5, each - 1).toFixed(1), y: y(one).toFixed(1), height: (high - bottom - y(one)).toFixed(1) },
      h("title", null, `${count(one)} items ended about ${moment(told.begin + ((n + 0.5) * (told.end - told.begin)) / told.counts.length)}`))),
    h("text", { x: 0, y: high - 3 }, moment(told.begin)),
    h("text", { x: wide, y: high - 3, "text-anchor": "end" }, moment(told.end)));
}

/** A list of numbers of one item, one a frame mostly. */
export function small(id, told, wide) {
  const values = told.value, high = 110, bottom = 18;
  let low = Math.min(...values), top = Math.max(...values);
  if (top === low) top = low + (Math.abs(low) || 1);
  const x = (n) => LEFT + (n / Math.max(1, values.length - 1)) * (wide - LEFT - RIGHT);
  const y = (at) => 8 + (1 - (at - low) / (top - low)) * (high - bottom - 8);
  return h("svg", { class: "chart", id, viewBox: `0 0 ${wide} ${high}`, role: "img", "aria-label": `${told.label}: ${values.length} values from ${number(low)} to ${number(top)} ${told.unit}` },
    [low, top].map((at) => [h("line", { class: "grid", x1: LEFT, x2: wide - RIGHT, y1: y(at), y2: y(at) }), h("text", { x: LEFT - 7, y: y(at) + 4, "text-anchor": "end" }, number(at))]),
    h("path", { class: "median", d: line(values.map((one, n) => [x(n), y(one)])) }),
    h("text", { x: LEFT, y: high - 3 }, "1"), h("text", { x: wide - RIGHT, y: high - 3, "text-anchor": "end" }, count(values.length)));
}

function inWords(told) {
  const unit = told.unit ? ` ${told.unit}` : "";
  return `${count(told.count)} items, median ${number(told.median)}${unit}, 90 % of them between ${number(told.low)} and ${number(told.high)}${unit}`;
}

function nearest(points, far) {
  let best = null, least = Infinity;
  for (const one of points) {
    const here = far(one);
    if (here < least) [best, least] = [one, here];
  }
  return best;
}

/** The point of a chart under the pointer: {item, text, place}, or null where there is none. */
export function under(svg, event) {
  const known = drawn.get(svg.dataset.chart);
  if (!known) return null;
  const box = svg.getBoundingClientRect(), scale = svg.viewBox.baseVal.width / box.width;
  const point = known.near([(event.clientX - box.left) * scale, (event.clientY - box.top) * scale]);
  return point && { item: point[2], text: known.say(point), place: known.place(point) };
}
