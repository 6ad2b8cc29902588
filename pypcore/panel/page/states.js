// How each state is called and shown, alike everywhere.
import { count, percent } from "./format.js";
import { h } from "./dom.js";

export const BAD = ["failed", "error", "timeout", "memory", "lost"];
export const OUTCOMES = ["done", "running", "waiting", ...BAD, "cancelled"];
const MEANS = {
  done: "done",
  running: "in hand",
  waiting: "waiting",
  failed: "failed: the file is at fault",
  error: "error: something unforeseen",
  timeout: "timeout: took too long",
  memory: "memory: took too much of it",
  lost: "lost: the worker died",
  cancelled: "cancelled",
};
const MARKS = { done: "✓", running: "▸", waiting: "·", cancelled: "■", stopped: "‖", "out of date": "↻", unreadable: "!" };

/** The family of a state, which has its colour: done, running, waiting, bad, halted. */
export function family(state) {
  if (state === "done" || state === "running" || state === "waiting") return state;
  return state === "cancelled" || state === "stopped" || state === "out of date" ? "halted" : "bad";
}

/** A state as a pill: mark, word and colour, so that colour alone says nothing. */
export function pill(state) {
  return h("span", { class: `pill ${family(state)}`, title: MEANS[state] ?? null }, h("span", { "aria-hidden": "true" }, MARKS[state] ?? "✕"), ` ${state}`);
}

/** A bar of what is done, bad, cancelled, in hand; the rest waits. */
export function bar(counts, items, name) {
  const bad = BAD.reduce((sum, one) => sum + (counts[one] ?? 0), 0);
  const parts = [["done", counts.done], ["bad", bad], ["halted", counts.cancelled], ["running", counts.running]];
  let at = 0;
  const words = parts.filter(([, many]) => many).map(([what, many]) => `${many} ${what === "halted" ? "cancelled" : what === "running" ? "in hand" : what}`);
  return h("svg", { class: "meter", viewBox: "0 0 1000 10", preserveAspectRatio: "none", role: "img", "aria-label": `${name}: ${words.join(", ") || "nothing yet"} of ${items}` },
    h("rect", { class: "rest", width: 1000, height: 10 }),
    parts.map(([what, many]) => {
      if (!many) return null;
      const wide = Math.min(1000 - at, Math.max(4, (1000 * many) / Math.max(1, items)));
      at += wide;
      return h("rect", { class: what, x: at - wide, width: wide, height: 10 });
    }));
}

/** Buttons that choose items by state, with their numbers. */
export function chips(counts, chosen) {
  return OUTCOMES.filter((one) => counts[one]).map((one) =>
    h("button", { type: "button", class: `chip ${family(one)}`, "data-do": "filter", "data-outcome": one, "aria-pressed": String(chosen.includes(one)), title: MEANS[one] },
      h("span", { "aria-hidden": "true", class: "mark" }, MARKS[one] ?? "✕"), ` ${one} `, h("b", null, count(counts[one]))));
}

/** The ring around the share that is done. */
export function ring(done, items) {
  const around = 2 * Math.PI * 42, share = items ? done / items : 0;
  return h("svg", { class: "ring", viewBox: "0 0 100 100", role: "img", "aria-label": `${percent(done, items)} done` },
    h("circle", { class: "track", cx: 50, cy: 50, r: 42 }),
    share ? h("circle", { class: "share", cx: 50, cy: 50, r: 42, "stroke-dasharray": `${(around * share).toFixed(2)} ${around.toFixed(2)}`, transform: "rotate(-90 50 50)" }) : null,
    h("text", { x: 50, y: 56, "text-anchor": "middle" }, percent(done, items).replace(" ", "\u2009")));
}
