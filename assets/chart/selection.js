import { idAt, idOf, indicesWhere, sameIds } from "./points.js";

// The selected ids of a chart. A gesture or keys on this chart change them, or Python sends them from another widget.
export class Selection {
  constructor(chart) {
    this.chart = chart;
    this.ids = [];
  }

  // Plotly also fires this event (without points) when it redraws, but only a gesture may change the selection.
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

  // Python's selection counts only after Python has received our last one; before that, it is out of date.
  receive({ selected, acknowledged_at }, revisionChanged) {
    if (!selected) {
      if (revisionChanged) this.reportChange([]);
      return;
    }
    const current = this.reportedAt === undefined || this.reportedAt === acknowledged_at;
    if (revisionChanged || (current && !sameIds(selected, this.ids))) this.pending = selected;
  }

  // Called after Plotly has drawn new data: applies the selection sent by Python, then restores the one made here.
  async redraw() {
    await this.applyPending();
    await this.restore();
  }

  // Applies a selection from Python or from keys. It consists of points, so a lasso or box is removed.
  async applyPending() {
    if (!this.pending) return;
    const ids = new Set(this.pending);
    this.pending = undefined;
    const { plot } = this.chart;
    if (plot.layout.selections?.length) await window.Plotly.relayout(plot, { selections: [] });
    this.ids = await this.mark(ids);
  }

  // Draws points as selected; returns the ids that exist in the chart.
  async mark(ids) {
    const traces = this.chart.plot._fullData;
    const indices = traces.map((trace) => indicesWhere(trace, (id) => ids.has(id)));
    const present = indices.flatMap((list, number) => list.map((index) => idAt(traces[number], index)));
    await window.Plotly.restyle(this.chart.plot, { selectedpoints: present.length ? indices : [null] });
    return [...new Set(present)];
  }

  // Restores the selection on new data. A lasso or box selects the points that are inside it now. Clicked points stay
  // selected by id, even at new positions.
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
