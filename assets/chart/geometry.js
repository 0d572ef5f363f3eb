// Positions on the chart: pure functions of numbers, tested in tests/e2e/test_chart_functions.py.

export const FRAME_STEP = 0.02; // share of the plot by which an arrow key moves or resizes the selection frame
const TOOLTIP_GAP = 16; // px between the pointer and the tooltip
const LABEL_GAP = 12; // px added to the label's width, for the distance between the threshold and its label

export function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}

// Moves or resizes a frame { x, y, w, h } by one step, within the plot. Units: shares of the plot.
export function stepFrame({ x, y, w, h }, [right, down], resize) {
  if (resize) {
    return {
      x,
      y,
      w: clamp(w + right * FRAME_STEP, FRAME_STEP, 1 - x),
      h: clamp(h + down * FRAME_STEP, FRAME_STEP, 1 - y),
    };
  }
  return { x: clamp(x + right * FRAME_STEP, 0, 1 - w), y: clamp(y + down * FRAME_STEP, 0, 1 - h), w, h };
}

export function frameContains({ x, y, w, h }, right, down) {
  return right >= x && right <= x + w && down >= y && down <= y + h;
}

// CSS background-position of one image on its sheet, equal to Thumbnails.position in pages/shared/ui/chart.py (a test
// compares both). Computed here, because of 20 000 images only the one under the pointer needs a position.
export function spritePosition(cell, { side, columns, rows }) {
  const step = side + 2; // each image has a margin of one pixel on each side
  return [[cell % columns, columns], [Math.floor(cell / columns), rows]]
    .map(([index, count]) => `${(100 * (index * step + 1)) / (count * step - side)}%`)
    .join(" ");
}

// Position of the tooltip: right of the pointer, or left of it if there is no room; within the chart's height. In px.
export function tooltipPosition(pointer, tooltip, chart) {
  const right = pointer.x + TOOLTIP_GAP;
  return {
    left: right + tooltip.width > chart.width ? pointer.x - TOOLTIP_GAP - tooltip.width : right,
    top: clamp(pointer.y - tooltip.height / 2, 0, Math.max(chart.height - tooltip.height, 0)),
  };
}

// Position of the threshold's label: right of the threshold if there is room, otherwise left of it (flipped),
// otherwise right of it but shifted to the left by -shift px, so that the chart's edge does not cut the label: it may
// reach over the axis's start by the margin, which is as wide as the axis's labels.
export function labelPosition(x, axisLength, labelWidth, margin) {
  const width = labelWidth + LABEL_GAP;
  const room = axisLength - x - width;
  const flipped = room < 0 && x >= width;
  return { flipped, shift: flipped ? 0 : Math.max(Math.min(room, 0), -(x + margin + LABEL_GAP)) };
}

// The nearest multiple of the step within the limits.
export function roundToStep(value, [low, high], { step, digits }) {
  const stepped = Math.round(clamp(value, low, high) / step) * step;
  return Number(clamp(stepped, low, high).toFixed(Math.max(digits, 6)));
}
