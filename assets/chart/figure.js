// Converts Python's figure for Plotly: adds the page's colours and the settings of the chart's tools.

// Returns traces, layout and config for Plotly.react. data: sent by chart.py; theme: the result of readTheme.
export function plotlyFigure(data, theme) {
  const { data: traces, layout } = JSON.parse(data.figure);
  if (data.thumbnails?.captions) for (const trace of traces) hideHoverLabel(trace);
  Object.assign(layout, {
    autosize: true,
    height: data.height,
    uirevision: `view ${data.revision}`, // never empty: with an empty one, Plotly resets the view
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
    responsive: false, // the chart has a ResizeObserver, which also reacts to the sidebar and the columns
    scrollZoom: scroll_zoom,
    modeBarButtons: [tools, ["resetScale2d"]],
    showSendToCloud: false, // "Share chart" of Plotly 4 would send the data to a server of Plotly
    plotlyServerURL: "",
  };
}

// Puts the page's colours and font into the figure's template, so that the figure's own settings have priority.
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

// Reads Streamlit's theme from the CSS variables of the page.
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
