// Symbol: trades on the band between bid and ask, each with a line to the quote that it matched.

import { axis, colour } from "/static/charts.js";
import { ask, away, make, replace, table } from "/static/dom.js";
import { clock, count, duration } from "/static/words.js";

const NEAR_PX = 30;
const ROWS_LISTED = 50;
const ROWS_NEAR = 60; // that the chart begins with; a double click shows all

export default class Symbol {
  constructor(root, name) {
    this.name = make("input", { name: "symbol", placeholder: "symbol", value: decodeURIComponent(name), autocomplete: "off", "aria-label": "symbol" });
    this.feature = make("select", { "aria-label": "feature", onchange: () => this.load() }, make("option", { value: "" }, "no feature"));
    this.older = make("button", { type: "button", disabled: true, onclick: () => this.load(this.lower) }, "Older");
    this.newest = make("button", { type: "button", onclick: () => this.load() }, "Newest");
    this.form = make("form", { onsubmit: (event) => { event.preventDefault(); location.hash = `symbol/${encodeURIComponent(this.name.value.trim())}`; } },
      this.name, make("button", {}, "Show"), this.older, this.newest, this.feature);
    this.said = make("p", { class: "note" });
    this.chart = make("div", { id: "trades" });
    this.ages = make("div", { id: "ages" });
    this.tip = make("p", { id: "tip", class: "note" });
    this.list = make("section");
    replace(root, make("h1", {}, "Symbol"), this.form, this.said, this.chart, this.ages, this.tip, this.list);
    if (name) this.load();
  }

  async load(before = "") {
    const [node, column] = this.feature.value ? this.feature.value.split(" ") : ["", ""];
    try {
      const view = await ask("/api/v1/symbol", { symbol: this.name.value.trim(), before, node, column });
      this.lower = view.lower;
      this.older.disabled = Number(view.lower) <= Number(view.low);
      this.offer(view.columns);
      this.draw(view);
    } catch (failed) {
      replace(this.chart);
      replace(this.ages);
      replace(this.list);
      this.said.textContent = "";
      replace(this.tip, away(failed.message));
    }
  }

  offer(columns) {
    const chosen = this.feature.value;
    const names = Object.entries(columns).flatMap(([node, features]) => features.map((feature) => [node, feature]));
    replace(this.feature, make("option", { value: "" }, "no feature"), names.map(([node, feature]) => make(
      "option", { value: `${node} ${feature}`, selected: chosen === `${node} ${feature}` }, `${node}.${feature}`,
    )));
  }

  draw(view) {
    const { rows } = view;
    this.said.textContent = `${count(rows.length)} rows of ${view.symbol} in frames ${count(view.lower)} to ${count(view.upper)} of ${view.topic}[${view.partition}]`;
    replace(this.chart);
    replace(this.ages);
    replace(this.tip);
    this.view = view;
    if (!rows.length) return replace(this.list, make("p", { class: "note" }, "no row of this symbol in these frames"));
    const base = BigInt(rows[0].time_ns);
    const trades = rows.map((row) => ({ ...row, x: Number(BigInt(row.time_ns) - base), price: row.price === undefined ? null : Number(row.price) }));
    if (view.price && view.sides.length) this.plot(trades, quotesOf(view, trades, base), view.feature.map(([ns, value]) => [Number(BigInt(ns) - base), value]), base);
    replace(this.list, make("h2", {}, `The newest ${count(Math.min(rows.length, ROWS_LISTED))} rows`), table(
      [["time", ""], ["price", "number"], ["bid", "number"], ["ask", "number"], [`${view.right} at`, ""], ["age", "number"], ["row", ""], ["frame", "number"]],
      rows.slice(-ROWS_LISTED).reverse().map((row) => [
        clock(row.time_ns), row.price ?? "", row.bid ?? "", row.ask ?? "", row.matched_ns === null ? ["unmatched", "bad"] : clock(row.matched_ns),
        duration(row.age_ns), `${view.partition}@${row.offset}#${row.index}`, count(row.frame),
      ]),
    ));
  }

  plot(trades, quotes, feature, base) {
    // One row of the chart for each moment that anything has, so that two trades 1 ns apart are two points.
    const events = [...trades.map((row) => ({ x: row.x, price: row.price })), ...quotes.map(([x, bid, ask]) => ({ x, bid, ask })), ...feature.map(([x, value]) => ({ x, value }))];
    events.sort((one, other) => one.x - other.x);
    const columns = ["price", "bid", "ask", "value"].map((name) => events.map((event) => event[name] ?? null));
    const stepped = uPlot.paths.stepped({ align: 1 });
    const moment = (x) => clock(base + BigInt(Math.round(x)));
    const options = {
      width: Math.max(this.chart.clientWidth, 400), height: 420, pxAlign: 0,
      scales: { x: { time: false }, feature: {} },
      series: [
        { label: "time", value: (_, x) => (x === null ? "" : moment(x)) },
        { label: "trade", stroke: colour("trade"), paths: () => null, points: { show: true, size: 7, fill: colour("trade") } },
        { label: "bid", stroke: colour("bid"), width: 1, paths: stepped, spanGaps: true, points: { show: false } },
        { label: "ask", stroke: colour("bid"), width: 1, paths: stepped, spanGaps: true, points: { show: false } },
        { label: "feature", scale: "feature", stroke: colour("warn"), width: 1.5, paths: stepped, spanGaps: true, points: { show: false }, show: feature.length > 0 },
      ],
      bands: [{ series: [3, 2], fill: colour("band") }],
      axes: [axis({ values: (_, splits) => splits.map((x) => (Number.isInteger(x) ? moment(x).slice(-18, -6) : "")), space: 120 }), axis({ size: 70 }), axis({ scale: "feature", side: 1, show: feature.length > 0, grid: { show: false } })],
      cursor: { sync: { key: "symbol" } },
      hooks: { draw: [(chart) => matches(chart, trades, base)], setCursor: [(chart) => this.point(chart, trades)] },
    };
    const plotted = new uPlot(options, [events.map((event) => event.x), ...columns], this.chart);
    const ages = new uPlot({
      width: options.width, height: 120, pxAlign: 0, cursor: { sync: { key: "symbol" } }, legend: { show: false },
      scales: { x: { time: false } },
      series: [{}, { stroke: colour("bid"), paths: () => null, points: { show: true, size: 4, fill: colour("bid") } }],
      axes: [axis({ show: false }), axis({ size: 70, label: "age, ms", labelSize: 14 })],
    }, [trades.map((row) => row.x), trades.map((row) => (row.age_ns === null || row.age_ns === undefined ? null : Number(row.age_ns) / 1e6))], this.ages);
    const near = trades.slice(-ROWS_NEAR);
    if (near.length > 1 && near.at(-1).x > near[0].x) {
      const margin = (near.at(-1).x - near[0].x) / 40;
      const scale = { min: near[0].x - margin, max: near.at(-1).x + margin };
      for (const chart of [plotted, ages]) chart.setScale("x", scale);
    }
  }

  point(chart, trades) {
    const { left } = chart.cursor;
    if (left === undefined || left < 0) return;
    const x = chart.posToVal(left, "x");
    const near = trades.reduce((best, row) => (best === null || Math.abs(row.x - x) < Math.abs(best.x - x) ? row : best), null);
    if (!near || Math.abs(chart.valToPos(near.x, "x") - left) > NEAR_PX) return;
    const matched = near.matched_ns === null ? "no quote" : `quote of ${clock(near.matched_ns)}, ${duration(near.age_ns)} old, bid ${near.bid} ask ${near.ask}`;
    this.tip.textContent = `${clock(near.time_ns)}: trade at ${near.price}; ${matched}; ${this.view.topic}[${this.view.partition}] frame ${near.frame}, left row ${near.offset}#${near.index}`;
  }
}

// The quotes as they lie in their topic, and those that the trades matched where these are older.
function quotesOf(view, trades, base) {
  const raw = view.quotes.map(([ns, bid, ask]) => [Number(BigInt(ns) - base), number(bid), number(ask)]);
  const first = raw.length ? raw[0][0] : Infinity;
  const matched = trades.filter((row) => row.matched_ns !== null && row.matched_ns !== undefined)
    .map((row) => [Number(BigInt(row.matched_ns) - base), number(row.bid), number(row.ask)]).filter(([x]) => x < first);
  return [...matched, ...raw].sort((one, other) => one[0] - other[0]);
}

const number = (value) => (value === null || value === undefined ? null : Number(value));

function matches(chart, trades, base) {
  const { ctx } = chart;
  ctx.save();
  ctx.beginPath();
  ctx.rect(chart.bbox.left, chart.bbox.top, chart.bbox.width, chart.bbox.height);
  ctx.clip();
  ctx.strokeStyle = colour("faint");
  ctx.fillStyle = colour("bad");
  ctx.lineWidth = 1;
  for (const row of trades) {
    if (row.price === null) continue;
    const x = chart.valToPos(row.x, "x", true);
    const y = chart.valToPos(row.price, "y", true);
    if (row.matched_ns === null) {
      ctx.fillRect(x - 4, chart.bbox.top + chart.bbox.height - 8, 8, 8);
      continue;
    }
    const side = [row.bid, row.ask].filter((value) => value !== null).map(Number).sort((one, other) => Math.abs(one - row.price) - Math.abs(other - row.price))[0];
    if (side === undefined) continue;
    ctx.beginPath();
    ctx.moveTo(x, y);
    ctx.lineTo(chart.valToPos(Number(BigInt(row.matched_ns) - base), "x", true), chart.valToPos(side, "y", true));
    ctx.stroke();
  }
  ctx.restore();
}
