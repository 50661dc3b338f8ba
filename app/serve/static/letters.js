// Letters: how late, why dead, and one of them in full.

import { ask, away, make, replace, table } from "/static/dom.js";
import { clock, count, duration } from "/static/words.js";

const EDGES = [1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12];

export default class Letters {
  constructor(root) {
    this.body = make("section");
    this.one = make("section", { id: "letter" });
    replace(root, make("h1", {}, "Letters"), make("form", {}, make("button", { type: "button", onclick: () => this.load() }, "Look again")), this.one, this.body);
    this.load();
  }

  async load() {
    try {
      const view = await ask("/api/v1/letters");
      replace(this.body, this.late(view), this.dead(view));
    } catch (failed) {
      replace(this.body, away(failed.message));
    }
  }

  late(view) {
    const bins = EDGES.map(() => 0).concat(0);
    for (const ns of view.late_ns) bins[EDGES.findIndex((edge) => Number(ns) < edge) === -1 ? EDGES.length : EDGES.findIndex((edge) => Number(ns) < edge)] += 1;
    const lateness = bins.flatMap((letters, place) => (letters ? [[place < EDGES.length ? `below ${duration(EDGES[place])}` : `${duration(EDGES.at(-1))} or more`, count(letters)]] : []));
    const rows = view.late.map((one) => [
      this.link("late", one.place), one.stream, one.source, count(one.rows), duration(one.lateness_ns), clock(one.frontier_ns),
    ]);
    return [
      make("h2", {}, `Late: ${count(view.late_ns.length)} letters among the newest ${count(view.looked_at_most)} of each partition`),
      lateness.length ? table([["late by", ""], ["letters", "number"]], lateness) : make("p", { class: "note" }, "no late rows"),
      rows.length ? table([["letter", ""], ["stream", ""], ["came from", ""], ["rows", "number"], ["late by", "number"], ["frontier met", ""]], rows) : null,
    ].filter(Boolean);
  }

  dead(view) {
    const reasons = view.dead_reasons.map((one) => [count(one.letters), one.topic, one.reason]);
    const rows = view.dead.map((one) => [this.link("dead", one.place), one.source, count(one.rows) === "0" ? "all" : count(one.rows), one.rule, one.reason]);
    return [
      make("h2", {}, `Dead: ${count(view.dead_reasons.reduce((sum, one) => sum + one.letters, 0))} letters among the newest ${count(view.looked_at_most)} of each partition`),
      reasons.length ? table([["letters", "number"], ["topic", ""], ["reason", "wrap"]], reasons) : make("p", { class: "note" }, "no dead letters"),
      rows.length ? table([["letter", ""], ["came from", ""], ["rows", "number"], ["rule", ""], ["reason", "wrap"]], rows) : null,
    ].filter(Boolean);
  }

  link(kind, place) {
    return make("a", { href: "#letters", onclick: (event) => { event.preventDefault(); this.open(kind, place); } }, place);
  }

  async open(kind, place) {
    try {
      const one = await ask("/api/v1/letter", { kind, place });
      replace(
        this.one,
        make("h2", {}, `${kind} letter ${one.place}: ${one.source}`),
        make("p", {}, one.reason ?? `late by ${duration(one.lateness_ns)}`),
        table([["header", ""], ["value", "wrap"]], [["key", one.key ?? "null"], ...one.headers.map(([name, value]) => [name, value ?? "null"])]),
        make("pre", {}, one.bytes === null ? "the value is null" : one.bytes + (one.bytes_cut ? " ..." : "")),
        one.command ? make("p", {}, "to send it back: ", make("code", {}, one.command)) : null,
      );
    } catch (failed) {
      replace(this.one, away(failed.message));
    }
    this.one.scrollIntoView({ block: "nearest" });
  }
}
