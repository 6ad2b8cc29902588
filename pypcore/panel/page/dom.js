// Elements from values, and the page brought to them in place. Text is only ever text: names and logs come from files
// that anybody may have written, so nothing here takes markup.

const SVG = "http://www.w3.org/2000/svg";
const DRAWN = new Set(["svg", "g", "path", "rect", "line", "text", "circle", "title"]);

/** Make an element: h("p", {class: "x"}, "text", child, …). null, undefined and false are left out. */
export function h(tag, attributes, ...children) {
  const made = DRAWN.has(tag) ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on") || name === "style") throw new Error(`attribute ${name} is not for elements of data`);
    made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...children.flat(Infinity).filter((one) => one !== null && one !== undefined && one !== false));
  return made;
}

/** Bring the children of an element to be like `wanted`, keeping those that are alike: focus, scroll, selection stay. */
export function show(target, ...wanted) {
  const fresh = document.createDocumentFragment();
  fresh.append(...wanted.flat(Infinity).filter(Boolean));
  morphChildren(target, fresh);
}

function morphChildren(now, fresh) {
  const known = new Map();
  for (const child of now.childNodes) if (child.id || child.dataset?.key) known.set(child.dataset?.key ?? child.id, child);
  let at = now.firstChild;
  for (const next of [...fresh.childNodes]) {
    const key = next.dataset?.key ?? next.id;
    const same = key ? known.get(key) : at && !(at.dataset?.key || at.id) && alike(at, next) ? at : null;
    if (same && alike(same, next)) {
      if (same === at) at = at.nextSibling;
      else now.insertBefore(same, at);
      morph(same, next);
    } else {
      now.insertBefore(next, at);
    }
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

function alike(one, other) {
  return one.nodeType === other.nodeType && one.nodeName === other.nodeName;
}

function morph(now, fresh) {
  if (now.nodeType === Node.TEXT_NODE) {
    if (now.data !== fresh.data) now.data = fresh.data;
    return;
  }
  for (const { name } of [...now.attributes]) {
    if (!fresh.hasAttribute(name) && !(name === "open" && now.nodeName === "DETAILS")) now.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) if (now.getAttribute(name) !== value) now.setAttribute(name, value);
  if (now.nodeName === "INPUT") return; // what the user types is the user's
  morphChildren(now, fresh);
}
