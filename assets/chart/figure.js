// The figure as Plotly gets it: Python's figure in the page's colours, with the chart's tools.

// traces, layout and config for Plotly.react. data: what chart.py sent; theme: what readTheme returned.
export function plotlyFigure(data, theme) {
  const { data: traces, layout } = JSON.parse(data.figure);
  if (data.thumbnails?.captions) for (const trace of traces) hideHoverLabel(trace);
  Object.assign(layout, {
    autosize: true,
    height: data.height,
    uirevision: `view ${data.revision}`, // never empty: Plotly takes an empty one as "keep nothing"
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
  });
  if (layout.meta?.mode !== theme.mode) layout.template = themedTemplate(layout.template, theme);
  delete layout.width;
  if (data.select) {
    layout.clickmode = "event+select";
    layout.dragmode ??= { lasso: "lasso", box: "select" }[data.select];
    layout.newselection ??= { line: { color: theme.text, width: 1.5, dash: "dot" } };
  }
  return { traces, layout, config: plotlyConfig(data) };
}

function hideHoverLabel(trace) {
  if (trace.hoverinfo === "skip") return;
  delete trace.hovertemplate;
  trace.hoverinfo = "none";
}

function plotlyConfig({ select, scroll_zoom }) {
  const tools = ["zoom2d", "pan2d", ...(select ? ["select2d", "lasso2d"] : [])];
  return {
    displaylogo: false,
    responsive: false, // the chart's ResizeObserver also notices the sidebar and the columns
    scrollZoom: scroll_zoom,
    modeBarButtons: [tools, ["resetScale2d"]],
    showSendToCloud: false, // Plotly 4's "Share chart" would send it to a server of Plotly's
    plotlyServerURL: "",
  };
}

// The page's colours and font go into the figure's template: what a figure sets itself still wins.
function themedTemplate(template, { text, background, border, font }) {
  const axis = { gridcolor: border, linecolor: border, tickcolor: border, zerolinecolor: border };
  const layout = template?.layout ?? {};
  return {
    ...template,
    layout: {
      ...layout,
      font: { ...layout.font, family: font, color: text },
      xaxis: { ...layout.xaxis, ...axis, automargin: true },
      yaxis: { ...layout.yaxis, ...axis, automargin: true },
      legend: { ...layout.legend, bgcolor: "rgba(0,0,0,0)" },
      modebar: { ...layout.modebar, bgcolor: "rgba(0,0,0,0)", color: border, activecolor: text },
      hoverlabel: {
        ...layout.hoverlabel,
        bgcolor: background,
        bordercolor: border,
        font: { family: font, color: text },
      },
    },
  };
}

// Streamlit's theme, from the CSS variables that it sets on the page.
export function readTheme(node) {
  const style = getComputedStyle(node);
  const read = (name) => style.getPropertyValue(`--st-${name}`).trim();
  const background = read("background-color");
  return {
    text: read("text-color"),
    background,
    border: read("border-color"),
    font: read("font"),
    mode: isDark(background) ? "dark" : "light",
  };
}

function isDark(colour) {
  const pen = document.createElement("canvas").getContext("2d");
  pen.fillStyle = colour;
  pen.fillRect(0, 0, 1, 1);
  const [red, green, blue] = pen.getImageData(0, 0, 1, 1).data;
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue < 128; // ITU-R BT.709 luma
}
