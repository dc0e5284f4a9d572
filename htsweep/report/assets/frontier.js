// The chart of the page that has only the frontier. Its panels come ready but for their colours,
// which follow the light.
const charts = {
  frontier: {
    methods: () => [...data.methods.keys()],
    keys: () => [
      [theme().front, "front of all"],
      ...(data.panels.some(panel => panel.traces.some(isRing))
        ? [[theme().ink, "chosen by the protocol", "ring"]]
        : []),
    ],
    panels: () =>
      data.panels
        .filter(panel => groupShown(panel.g))
        .map(panel => ({
          title: data.groups[panel.g]?.title ?? "",
          traces: panel.traces.filter(trace => methodShown(trace.m ?? -1)).map(coloured),
          layout: panel.layout,
        })),
  },
}
const isRing = trace => trace.marker?.symbol === "circle-open"

// A copy of the trace in its colour: plotly writes into what it is given.
function coloured({ m, ...given }) {
  const trace = structuredClone(given)
  const colour = m === undefined ? theme().front : isRing(trace) ? theme().ink : colourOf(m)
  for (const part of [trace.line, trace.marker, trace.marker?.line, trace.error_x, trace.error_y])
    if (part) part.color = colour
  return trace
}
