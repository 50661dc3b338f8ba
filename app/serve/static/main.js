// The page: one feed for all views, and a view for what stands behind the hash.

import { ask, away, make, replace } from "/static/dom.js";
import Graph from "/static/graph.js";
import Letters from "/static/letters.js";
import Now from "/static/now.js";
import Runs from "/static/runs.js";
import Symbol from "/static/symbol.js";
import Task from "/static/task.js";
import { clock } from "/static/words.js";

const POINTS_MAX = 1800;
const HOLDERS_MAX = 100;
const VIEWS = { now: ["Now", Now], task: ["Task", Task], symbol: ["Symbol", Symbol], letters: ["Letters", Letters], runs: ["Runs", Runs], graph: ["Graph", Graph] };

const state = { picture: null, away: "waiting for the first look", broken: "", points: [], holders: {} };
let view = null;

function open() {
  const [name, ...rest] = (location.hash.slice(1) || "now").split("/");
  const [kind, View] = VIEWS[name] ?? VIEWS.now;
  replace(document.getElementById("tabs"), Object.entries(VIEWS).map(([key, [title]]) => make(
    "a", { href: `#${key}`, "aria-current": title === kind ? "page" : null }, title,
  )));
  view = new View(document.getElementById("view"), rest.join("/"));
  view.show?.(state);
}

function standing() {
  const { picture } = state;
  const workers = picture ? picture.members.length : 0;
  document.getElementById("standing").textContent = state.away && !picture
    ? state.away
    : `${picture.group}: ${picture.state}, ${workers} worker${workers === 1 ? "" : "s"}, ${clock(picture.now_ns, picture.now_ns).slice(0, 8)} UTC${state.away ? " · away" : ""}`;
}

function take(look) {
  state.away = look.away;
  if (look.picture) {
    state.picture = look.picture;
    state.broken = look.broken;
    state.points = [...state.points, look.point].slice(-POINTS_MAX);
    for (const task of look.picture.tasks) {
      const past = (state.holders[task.task] ??= []);
      const holder = `${task.held_by.stream}[${task.held_by.partition}]`;
      const last = past.at(-1);
      if (!last || last.holder !== holder || last.verdict !== task.verdict) {
        past.push({ since_ns: look.picture.now_ns, holder, verdict: task.verdict, sentence: task.answer });
        past.splice(0, past.length - HOLDERS_MAX);
      }
    }
  }
  standing();
  view?.show?.(state);
}

async function follow() {
  try {
    const history = await ask("/api/v1/history");
    state.points = history.points;
    state.holders = history.holders;
  } catch (failed) {
    replace(document.getElementById("view"), away(failed.message));
  }
  const feed = new EventSource("/api/v1/feed");
  feed.onmessage = (event) => take(JSON.parse(event.data));
  feed.onerror = () => { state.away = "this page has lost its server, and asks again"; standing(); };
}

addEventListener("hashchange", open);
open();
follow();
