// Charts by uPlot, in the colours of the page.

import { make } from "/static/dom.js";

export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

const axis = (more = {}) => ({
  stroke: colour("faint"), grid: { stroke: colour("line"), width: 1 }, ticks: { stroke: colour("line"), width: 1 }, ...more,
});

const utc = (at) => new Date(at * 1e3).toISOString().slice(11, 19);

// One chart over wall-clock seconds UTC, that `update` gives new values.
export class Strip {
  constructor(title, series, height = 130) {
    this.holder = make("div");
    this.element = make("figure", {}, make("figcaption", {}, title), this.holder);
    this.series = series;
    this.height = height;
    this.chart = null;
  }

  update(values) {
    if (!this.chart) {
      const lines = this.series.map(([label, name]) => ({ label, stroke: colour(name), width: 1.5 }));
      const options = {
        width: Math.max(this.element.clientWidth, 300), height: this.height, pxAlign: 0,
        scales: { y: { range: (_, low, high) => [Math.min(0, low ?? 0), high > 0 ? high * 1.1 : 1] } },
        series: [{ label: "UTC", value: (_, at) => (at === null ? "" : utc(at)) }, ...lines],
        axes: [axis({ values: (_, splits) => splits.map(utc), space: 80 }), axis({ size: 60 })],
      };
      this.chart = new uPlot(options, values, this.holder);
      new ResizeObserver(() => this.chart.setSize({ width: Math.max(this.element.clientWidth, 300), height: this.height })).observe(this.element);
    }
    this.chart.setData(values);
  }
}

export { axis };
