// Elements made of plain text: what comes from a topic is never read as markup.

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat()) {
    if (child === null || child === undefined) continue;
    element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return element;
}

// `columns` are pairs of a heading and a class; a cell is text, a node, or a pair of text and a class.
export function table(columns, rows) {
  const head = columns.map(([heading, kind]) => make("th", { class: kind, scope: "col" }, heading));
  const body = rows.map((cells) => make("tr", {}, cells.map((cell, place) => tableCell(cell, columns[place][1]))));
  return make("div", { class: "scroll" }, make("table", {}, make("thead", {}, make("tr", {}, head)), make("tbody", {}, body)));
}

function tableCell(cell, kind) {
  const [content, own] = Array.isArray(cell) ? cell : [cell, ""];
  return make("td", { class: [kind, own].filter(Boolean).join(" ") || null }, content);
}

export function replace(target, ...children) {
  target.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined));
}

// The answer to a view's question, or an error with the words of the server.
export async function ask(path, values = {}) {
  const query = new URLSearchParams(Object.entries(values).filter(([, value]) => value !== "" && value !== null));
  const answer = await fetch(query.size ? `${path}?${query}` : path);
  if (!answer.ok) throw new Error((await answer.text()).trim() || `the server answered ${answer.status}`);
  return answer.json();
}

export function away(message) {
  return make("p", { class: "away" }, message);
}
