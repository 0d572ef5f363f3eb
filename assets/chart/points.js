// Points of a Plotly trace and their ids: pure functions, tested in tests/e2e/test_chart_functions.py.

// A point's id is its customdata, or the first entry of it.
export function idOf({ customdata }) {
  return Array.isArray(customdata) || ArrayBuffer.isView(customdata) ? customdata[0] : customdata;
}

export function idAt(trace, index) {
  return idOf({ customdata: trace.customdata?.[index] });
}

// Indices of the trace's points for which predicate(id, index, trace) is true.
export function indicesWhere(trace, predicate) {
  return Array.from(trace.customdata ?? [], (_, index) => index).filter((index) =>
    predicate(idAt(trace, index), index, trace),
  );
}

// Whether two lists contain the same ids, in any order.
export function sameIds(left, right) {
  const ids = new Set(left);
  return ids.size === new Set(right).size && right.every((id) => ids.has(id));
}
