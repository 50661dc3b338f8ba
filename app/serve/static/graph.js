// Graph: nodes, features with what they hang on, and the nulls of each by reason.

import { ask, away, make, replace, table } from "/static/dom.js";
import { count } from "/static/words.js";

export default class Graph {
  constructor(root) {
    this.body = make("section");
    replace(root, make("h1", {}, "Graph"), make("form", {}, make("button", { type: "button", onclick: () => this.load() }, "Look again")), this.body);
    this.load();
  }

  async load() {
    try {
      const { graph, seen } = await ask("/api/v1/graph");
      if (!graph) return replace(this.body, make("p", { class: "note" }, "the settings have no table [graph.NAME]"));
      replace(
        this.body,
        make("p", {}, `${graph.name} · meaning ${graph.meaning.slice(0, 12)} · clock ${graph.clock} · sessions ${graph.anchor.sessions} · ${count(graph.partitions)} partitions`),
        graph.nodes.map((node) => this.node(node, seen[node.name])),
      );
    } catch (failed) {
      replace(this.body, away(failed.message));
    }
  }

  node(node, seen) {
    const nulls = new Map();
    for (const one of seen?.nulls ?? []) nulls.set(one.feature, [...(nulls.get(one.feature) ?? []), `${count(one.rows)} ${one.reason}`]);
    const rows = node.features.map((feature) => [
      feature.name + (feature.version > 1 ? `@${feature.version}` : ""), feature.formula, feature.memory, feature.needs, feature.hangs_on, feature.meaning.slice(0, 6), nulls.get(feature.name)?.join(", ") ?? "",
    ]);
    const from = [node.from, ...node.right].join(", ");
    return make(
      "section", {},
      make("h2", {}, `${from} → ${node.name}${node.topic ? ` → ${node.topic}` : ""}`),
      make("p", { class: "note" }, node.topic ? `${count(seen?.rows ?? 0)} rows seen since this page began` : "no output: it feeds other nodes"),
      rows.length ? table([["feature", ""], ["formula", "wrap"], ["memory", ""], ["needs", ""], ["bits hang on", ""], ["meaning", ""], ["nulls seen", ""]], rows) : null,
    );
  }
}
