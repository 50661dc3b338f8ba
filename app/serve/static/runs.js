// Runs: replays and backtests by their summaries, and two of them held together.

import { ask, away, make, replace, table } from "/static/dom.js";
import { count } from "/static/words.js";

const total = (rows) => Object.values(rows ?? {}).reduce((sum, value) => sum + Number(value), 0);

export default class Runs {
  constructor(root) {
    this.chosen = [];
    this.body = make("section");
    this.answer = make("section", { id: "differences" });
    this.button = make("button", { type: "button", disabled: true, onclick: () => this.compare() }, "Compare the two chosen");
    replace(root, make("h1", {}, "Runs"), make("form", {}, this.button), this.answer, this.body);
    this.load();
  }

  async load() {
    try {
      const view = await ask("/api/v1/runs");
      const rows = view.runs.map((run) => (run.broken ? ["", run.run, ["cannot be read", "bad"], run.broken, "", "", "", "", "", "", ""] : [
        make("input", { type: "checkbox", "aria-label": `choose ${run.run}`, onchange: (event) => this.choose(run.run, event.target.checked) }),
        run.run, run.date, run.bus, count(total(run.rows_in)), count(run.rows_aligned), count(run.rows_matched), count(total(run.rows_late)),
        [count(run.audit_violations), Number(run.audit_violations) ? "bad" : "good"], run.seal_latency_ms ? `${run.seal_latency_ms.p50} / ${run.seal_latency_ms.p99}` : "", run.hash,
      ]));
      replace(this.body, rows.length ? table(
        [["", ""], ["run", ""], ["date", ""], ["bus", ""], ["rows in", "number"], ["joined", "number"], ["matched", "number"], ["late", "number"], ["wrong", "number"], ["seal ms p50 / p99", "number"], ["hash", ""]], rows,
      ) : make("p", { class: "note" }, `no run lies below ${view.folder}: make replay DATE=2024-01-15 makes one`));
    } catch (failed) {
      replace(this.body, away(failed.message));
    }
  }

  choose(run, is) {
    this.chosen = this.chosen.filter((one) => one !== run).concat(is ? [run] : []);
    this.button.disabled = this.chosen.length !== 2;
  }

  async compare() {
    const [one, other] = this.chosen;
    replace(this.answer, make("p", { class: "note" }, "reading both runs ..."));
    try {
      const found = await ask("/api/v1/compare", { one, other });
      replace(this.answer, found.differences.length ? make("pre", {}, found.differences.join("\n")) : make("p", { class: "answer well" }, `${one} and ${other} are alike, bit for bit`));
    } catch (failed) {
      replace(this.answer, away(failed.message));
    }
  }
}
