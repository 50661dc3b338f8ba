// Now: is anything leaving, and if not, who holds it.

import { Strip } from "/static/charts.js";
import { away, make, replace, table } from "/static/dom.js";
import { WELL, clock, count, duration, seconds } from "/static/words.js";

function verdictLines(picture) {
  const stuck = picture.tasks.filter((task) => !WELL.has(task.verdict));
  if (!stuck.length) return [make("p", { class: "answer well" }, `${picture.tasks.length} of ${picture.tasks.length} tasks do what they can`)];
  return stuck.map((task) => make("p", { class: "answer", "data-task": task.task }, task.answer));
}

export default class Now {
  constructor(root) {
    this.verdicts = make("section", { id: "verdicts" });
    this.tasks = make("section");
    this.strips = {
      rows: new Strip("joined rows per second", [["rows", "bid"]]),
      delay: new Strip("seal delay, ms: from the message that let rows be sealed to their frame", [["p50", "bid"], ["p99", "trade"], ["longest", "faint"]]),
      trails: new Strip("market time between newest row and frontier, s", [["trails", "bid"]]),
      letters: new Strip("late and dead rows since the workers took their tasks", [["late", "trade"], ["dead", "bad"]]),
    };
    const charts = make("div", { class: "charts" }, Object.values(this.strips).map((strip) => strip.element));
    replace(root, make("h1", {}, "Now"), this.verdicts, make("h2", {}, "The last 15 minutes"), charts, make("h2", {}, "Tasks"), this.tasks);
  }

  show(state) {
    const { picture } = state;
    if (!picture) return replace(this.verdicts, away(state.away));
    replace(this.verdicts, state.away ? away(state.away) : null, state.broken ? away(state.broken) : null, verdictLines(picture));
    const rows = picture.tasks.map((task) => taskCells(task, picture));
    replace(this.tasks, table(
      [["task", ""], ["state", ""], ["frontier", ""], ["held by", ""], ["since", ""], ["rows wait", "number"], ["unread", "number"], ["worker", ""]], rows,
    ));
    const points = state.points;
    const x = points.map((point) => seconds(point.now_ns));
    this.strips.rows.update([x, points.map((point) => point.rows_per_s)]);
    this.strips.delay.update([x, ...["p50", "p99", "longest"].map((name) => points.map((point) => point[name]))]);
    this.strips.trails.update([x, points.map((point) => point.trails_s)]);
    this.strips.letters.update([x, points.map((point) => point.late), points.map((point) => point.dead)]);
  }
}

function taskCells(task, picture) {
  const held = task.frontier_moved_ns === null ? "" : duration(BigInt(picture.now_ns) - BigInt(task.frontier_moved_ns));
  const waiting = task.inputs[0].rows_waiting;
  return [
    make("a", { href: `#task/${task.task}` }, `task ${task.task}`),
    [task.verdict, WELL.has(task.verdict) ? "good" : "bad"],
    clock(task.frontier_ns, picture.now_ns),
    `${task.held_by.stream}[${task.held_by.partition}]`,
    held,
    waiting === null ? "not known" : count(waiting),
    count(task.inputs.reduce((sum, input) => sum + Number(input.lag), 0)),
    task.workers.length ? task.workers.join(", ") : ["no worker", "bad"],
  ];
}
