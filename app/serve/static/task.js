// Task n: each input as a ladder from the newest row down to the frontier, and who held it.

import { away, make, replace, table } from "/static/dom.js";
import { WELL, clock, count, duration, size } from "/static/words.js";

export default class Task {
  constructor(root, name) {
    this.number = name === "" ? 0 : Number(name);
    this.choice = make("nav", { "aria-label": "Tasks" });
    this.body = make("section");
    replace(root, make("h1", {}, "Task"), this.choice, this.body);
  }

  show(state) {
    const { picture } = state;
    if (!picture) return replace(this.body, away(state.away));
    replace(this.choice, picture.tasks.map((task) => make(
      "a", { href: `#task/${task.task}`, "aria-current": task.task === this.number ? "page" : null }, task.task,
    )));
    const task = picture.tasks.find((one) => one.task === this.number);
    if (!task) return replace(this.body, away(`there is no task ${this.number}`));
    const today = picture.now_ns;
    const well = WELL.has(task.verdict);
    const ladder = [];
    for (const input of task.inputs) {
      const flags = [["paused", input.paused], ["idle", input.idle], ["final", input.final]].filter(([, is]) => is).map(([word]) => word);
      const holds = !well && task.held_by.stream === input.stream && !input.idle;
      ladder.push([
        `${input.stream}[${input.partition}]`, [[...(holds ? ["holds the frontier"] : []), ...flags].join(", "), holds ? "bad" : "faint"],
        clock(input.newest_ns, today), clock(input.watermark_ns, today), clock(task.frontier_ns, today), duration(input.grace_ns),
        input.rows_waiting === null ? "not known" : count(input.rows_waiting), size(input.bytes_waiting),
      ]);
    }
    const logs = task.inputs.map((input) => [
      `${input.topic}[${input.partition}]`, count(input.offsets.low), count(input.offsets.restart), count(input.offsets.next),
      count(input.offsets.stable), count(input.offsets.high), count(input.lag), count(input.hidden), count(input.late_rows),
    ]);
    const past = [...(state.holders[task.task] ?? [])].reverse().map((one) => [clock(one.since_ns, today), one.holder, one.verdict, one.sentence]);
    replace(
      this.body,
      make("p", { class: well ? "answer well" : "answer" }, task.answer),
      make("h2", {}, "Inputs"),
      table([["input", ""], ["", ""], ["newest row", ""], ["watermark", ""], ["frontier", ""], ["grace", "number"], ["rows wait", "number"], ["bytes", "number"]], ladder),
      make("h2", {}, "Logs"),
      table([["partition", ""], ["begins", "number"], ["restart", "number"], ["next", "number"], ["stable end", "number"], ["end", "number"], ["unread", "number"], ["hidden", "number"], ["late since start", "number"]], logs),
      make("p", { class: "note" }, `${task.workers.join(", ") || "no worker"} · ${count(task.dead_rows)} dead since start${task.rule ? ` · rule ${task.rule}` : ""}`),
      make("h2", {}, "Who held it, as seen since this page began"),
      table([["since", ""], ["input", ""], ["state", ""], ["why", "wrap"]], past),
    );
  }
}
