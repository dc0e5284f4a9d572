// How well each class does, and what its images are taken for.
charts.classes = {
  methods: () => methodsOf(data.classes),
  panels() {
    const table = data.classes
    return byGroup(table, rowsOf(table)).map(([group, inside]) => ({
      title: titleOf(group),
      traces: [...Map.groupBy(inside, row => table.m[row])].map(([method, own]) => {
        const mine = own.toSorted((a, b) => table.label[a] - table.label[b]),
          colour = colourOf(method),
          { symbol, name } = data.methods[method]
        return {
          x: take(table, "label", mine),
          y: take(table, "mean", mine),
          mode: "lines+markers",
          name: inert(name),
          line: { color: colour, width: 1 },
          marker: { color: colour, symbol, size: 8 },
          error_y: bars(
            take(table, "mean", mine),
            take(table, "low", mine),
            take(table, "high", mine),
            colour,
          ),
          hoverinfo: "text",
          hovertext: mine.map(row =>
            lines(
              `<b>${inert(name)}</b>`,
              `class ${table.label[row]}, missing in ${table.missing[row]} of ${table.n[row]}`,
              inert(interval(table.mean[row], table.low[row], table.high[row], true)),
            ),
          ),
        }
      }),
      layout: {
        xaxis: {
          title: "class",
          dtick: distinct(take(table, "label", inside)).length > 20 ? 5 : 1,
        },
        yaxis: { title: "accuracy (%)", range: [-5, 105] },
      },
    }))
  },
}

charts.confusion = {
  options: () => ({ method: String(methodsOf(data.confusion)[0]) }),
  controls: (options, redraw) => [
    choice(
      data.compared,
      methodsOf(data.confusion).map(method => [String(method), data.methods[method].name]),
      options.method,
      method => {
        options.method = method
        redraw()
      },
    ),
  ],
  panels(options) {
    const table = data.confusion
    const rows = rowsOf(table, row => table.m[row] === Number(options.method))
    return byGroup(table, rows).map(([group, inside]) => {
      const last = Math.max(...take(table, "label", inside), ...take(table, "predicted", inside))
      const classes = [...Array(last + 1).keys()]
      const z = classes.map(() => classes.map(() => 0))
      for (const row of inside) z[table.label[row]][table.predicted[row]] = table.share[row]
      const told = last < 12
      return {
        title: titleOf(group),
        traces: [
          {
            type: "heatmap",
            x: classes,
            y: classes,
            z,
            zmin: 0,
            zmax: 100,
            colorscale: [
              [0, theme().paper],
              [1, fixedColour(0)],
            ],
            showscale: false,
            xgap: 1,
            ygap: 1,
            hoverinfo: "text",
            hovertext: z.map((row, label) =>
              row.map(
                (share, predicted) =>
                  `of class ${label}, ${digits(share, true)} % are taken for ${predicted}`,
              ),
            ),
            ...(told
              ? {
                  text: z.map(row => row.map(share => (share >= 0.5 ? share.toFixed(0) : ""))),
                  texttemplate: "%{text}",
                }
              : {}),
          },
        ],
        layout: {
          uirevision: options.method,
          xaxis: { title: "taken for class", dtick: told ? 1 : 5, showgrid: false },
          yaxis: {
            title: "class",
            dtick: told ? 1 : 5,
            showgrid: false,
            range: [last + 0.5, -0.5],
          },
        },
      }
    })
  },
}
