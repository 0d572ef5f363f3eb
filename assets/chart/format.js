// What the threshold says: pure functions, tested in tests/e2e/test_chart_functions.py.

// Halves to even, as Python writes them: the same share must not read differently next to the chart.
const PERCENT = new Intl.NumberFormat("en", {
  minimumFractionDigits: 1,
  maximumFractionDigits: 1,
  roundingMode: "halfEven",
});

// How many scores lie at or below the threshold. values: each score once, ascending; below: how many scores lie at or
// below each value, or null where each value stands for one score.
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

export function thresholdText({ label, left, right, scores, digits, unit }, threshold) {
  const value = `${label} ${threshold.toFixed(digits)}${unit}`;
  if (!scores) return value;
  const share = (100 * countAtOrBelow(scores, threshold)) / scores.total;
  return `${value} · ${left} ${PERCENT.format(share)} % · ${right} ${PERCENT.format(100 - share)} %`;
}
