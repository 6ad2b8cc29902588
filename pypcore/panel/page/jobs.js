// The list of jobs, those that run first, then by day.
import { count, duration, moment, percent } from "./format.js";
import { h } from "./dom.js";
import { bar, pill } from "./states.js";

const GROUPS = ["Running", "Today", "This week", "Older", "Can't be read"];

function groupOf(job) {
  if (job.state === "unreadable") return "Can't be read";
  if (job.state === "running") return "Running";
  const last = job.ended ?? job.last ?? job.started;
  if (!last) return "Today";
  const midnight = new Date().setHours(0, 0, 0, 0) / 1000;
  return last >= midnight ? "Today" : last >= midnight - 6 * 86400 ? "This week" : "Older";
}

export function jobList(jobs, chosen, folders) {
  const all = [...jobs.values()].sort((one, other) => (other.started ?? 0) - (one.started ?? 0) || one.folder.localeCompare(other.folder));
  if (!all.length) {
    return h("div", { class: "empty" }, h("p", null, "No job is here yet."), h("p", null, "Jobs appear by themselves once they are begun below ", folders.map((one) => h("code", null, one, " "))));
  }
  return GROUPS.map((group) => {
    const inIt = all.filter((job) => groupOf(job) === group);
    if (!inIt.length) return null;
    return h("section", { "data-key": group }, h("h2", null, group, " ", h("span", { class: "dim" }, inIt.length)), h("ul", null, inIt.map((job) => h("li", { "data-key": job.id }, card(job, job.id === chosen)))));
  });
}

function card(job, chosen) {
  const link = { class: "card", href: `#/${job.id}`, "aria-current": chosen ? "page" : null };
  if (job.state === "unreadable") return h("a", link, h("b", null, job.name), h("span", { class: "bad-text" }, job.message || "can't be read"));
  const facts = [`${count(job.counts.done)} of ${count(job.items)}`, percent(job.counts.done, job.items)];
  if (job.pace) facts.push(`${duration(job.pace.left_s)} left`);
  else if (job.state !== "running" && job.ended) facts.push(moment(job.ended));
  return h("a", link,
    h("span", { class: "row" }, h("b", { class: "name" }, job.name), pill(job.state)),
    h("span", { class: "row dim" }, h("span", null, job.operation), job.bad ? h("span", { class: "bad-text" }, `${count(job.bad)} bad`) : null),
    bar(job.counts, job.items, job.name),
    h("span", { class: "dim facts" }, facts.join(" · ")));
}
