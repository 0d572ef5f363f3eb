// Where things lie on the chart: pure functions of numbers, tested in tests/e2e/test_chart_functions.py.

export const FRAME_STEP = 0.02; // share of the plot by which one arrow key moves or sizes the selection frame
const TOOLTIP_GAP = 16; // px between the pointer and the tooltip
const LABEL_GAP = 12; // px between the threshold and the end of its label, beside the label's own width

export function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}

// A frame { x, y, w, h } in shares of the plot, moved or resized by one step; it stays within the plot.
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

// CSS background-position of one picture on its sheet, the same as Thumbnails.position in pages/shared/ui/chart.py
// (a test compares the two). Here because of 20 000 pictures only the one under the pointer needs it.
export function spritePosition(cell, { side, columns, rows }) {
  const step = side + 2; // a picture has one pixel of margin on each side
  return [[cell % columns, columns], [Math.floor(cell / columns), rows]]
    .map(([index, count]) => `${(100 * (index * step + 1)) / (count * step - side)}%`)
    .join(" ");
}

// Right of the pointer, left of it where the right has no room; never above or below the chart. All in px.
export function tooltipPosition(pointer, tooltip, chart) {
  const right = pointer.x + TOOLTIP_GAP;
  return {
    left: right + tooltip.width > chart.width ? pointer.x - TOOLTIP_GAP - tooltip.width : right,
    top: clamp(pointer.y - tooltip.height / 2, 0, Math.max(chart.height - tooltip.height, 0)),
  };
}

// Whether the threshold's label stands left of it, and else by how many px it is shifted so that the chart's end
// does not cut it: right of the threshold, else left of it, else as far left as needed.
export function labelPosition(x, axisLength, labelWidth) {
  const width = labelWidth + LABEL_GAP;
  const room = axisLength - x - width;
  const flipped = room < 0 && x >= width;
  return { flipped, shift: flipped ? 0 : Math.min(room, 0) };
}

// The nearest multiple of the step within the limits.
export function roundToStep(value, [low, high], { step, digits }) {
  const stepped = Math.round(clamp(value, low, high) / step) * step;
  return Number(clamp(stepped, low, high).toFixed(Math.max(digits, 6)));
}
