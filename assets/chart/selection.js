import { idAt, idOf, indicesWhere, sameIds } from "./points.js";

// The ids that are selected in a chart: made here by a gesture or by keys, or elsewhere and sent by Python.
export class Selection {
  constructor(chart) {
    this.chart = chart;
    this.ids = [];
  }

  // Plotly reports its own redraws too (an event without points); only a gesture may change a selection.
  takeGesture(points) {
    if (this.chart.data.select && points !== undefined) this.reportChange(points.map(idOf));
  }

  reportChange(ids) {
    const defined = [...new Set(ids)].filter((id) => id !== undefined);
    if (!sameIds(defined, this.ids)) this.report(defined);
  }

  report(ids) {
    this.ids = ids;
    this.reportedAt = Date.now();
    this.chart.setState("selection", { ids, revision: this.chart.data.revision, at: this.reportedAt });
  }

  // Python's selection counts once it has received ours; until then it speaks of the one before.
  receive({ selected, acknowledged_at }, revisionChanged) {
    if (!selected) {
      if (revisionChanged) this.reportChange([]);
      return;
    }
    const current = this.reportedAt === undefined || this.reportedAt === acknowledged_at;
    if (revisionChanged || (current && !sameIds(selected, this.ids))) this.pending = selected;
  }

  // After Plotly has drawn new data: first what was selected elsewhere, then what was selected here.
  async redraw() {
    await this.applyPending();
    await this.restore();
  }

  // A selection made elsewhere or by keys: points, without a lasso or box.
  async applyPending() {
    if (!this.pending) return;
    const ids = new Set(this.pending);
    this.pending = undefined;
    const { plot } = this.chart;
    if (plot.layout.selections?.length) await window.Plotly.relayout(plot, { selections: [] });
    this.ids = await this.mark(ids);
  }

  // Draw points as selected; returns the ids among them that the chart has.
  async mark(ids) {
    const traces = this.chart.plot._fullData;
    const indices = traces.map((trace) => indicesWhere(trace, (id) => ids.has(id)));
    const present = indices.flatMap((list, number) => list.map((index) => idAt(traces[number], index)));
    await window.Plotly.restyle(this.chart.plot, { selectedpoints: present.length ? indices : [null] });
    return [...new Set(present)];
  }

  // New data under an old selection. A lasso or box is a region: what lies in it now is selected. Clicked points are
  // those points, wherever they are now.
  async restore() {
    const { data, plot } = this.chart;
    if (!data.select || !this.ids.length) return;
    const drawn = plot._fullData.flatMap((trace) => (trace.selectedpoints ?? []).map((index) => idAt(trace, index)));
    if (sameIds(drawn, this.ids)) return;
    this.reportChange(plot.layout.selections?.length ? drawn : await this.mark(new Set(this.ids)));
  }

  async selectWhere(predicate) {
    const visible = this.chart.plot._fullData.filter((trace) => trace.visible === true);
    this.pending = visible.flatMap((trace) => indicesWhere(trace, predicate).map((index) => idAt(trace, index)));
    await this.applyPending();
    this.report(this.ids);
  }
}
