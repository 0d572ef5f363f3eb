// The text of the threshold's label: pure functions, tested in tests/e2e/test_chart_functions.py.

// Rounds halves to even, as Python does, so that a share is the same number here and next to the chart.
const PERCENT = new Intl.NumberFormat("en", {
  minimumFractionDigits: 1,
  maximumFractionDigits: 1,
  roundingMode: "halfEven",
});

// Number of scores at or below the threshold. values: the distinct scores, ascending; below: for each value, the number
// of scores at or below it, or null if every score is distinct.
export function countAtOrBelow({ values, below }, threshold) {
  let low = 0;
  let high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] <= threshold) low = middle + 1;
    else high = middle;
  }
  return low && below ? below[low - 1] : low;
}

// The text for a chart that is too narrow for all of it: the share of the other side goes without saying.
export function withoutLastPart(text) {
  return text.includes(" · ") ? text.slice(0, text.lastIndexOf(" · ")) : text;
}

export function thresholdText({ label, left, right, scores, digits, unit }, threshold) {
  const value = `${label} ${threshold.toFixed(digits)}${unit}`;
  if (!scores) return value;
  const share = (100 * countAtOrBelow(scores, threshold)) / scores.total;
  return `${value} · ${left} ${PERCENT.format(share)} % · ${right} ${PERCENT.format(100 - share)} %`;
}
