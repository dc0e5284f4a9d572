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
        yaxis: { title: "accuracy (%)", range: [0, 100] },
      },
    }))
  },
}

// A matrix of shares in percent, the rows being the classes of the images.
function heatmap(z, uirevision) {
  const classes = [...z.keys()]
  const last = z.length - 1
  const told = last < 12
  return {
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
      uirevision,
      xaxis: { title: "taken for class", dtick: told ? 1 : 5, showgrid: false },
      yaxis: {
        title: "class",
        dtick: told ? 1 : 5,
        showgrid: false,
        range: [last + 0.5, -0.5],
      },
    },
  }
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
      return {
        title: titleOf(group),
        ...heatmap(z, options.method),
      }
    })
  },
}

// The same of one trial, which the reader picks by its point and its repetition.
charts.matrices = {
  options: () => ({ point: "0", trial: String(data.matrices.points[0].trials[0]) }),
  controls(options, redraw) {
    const { points, repetition } = data.matrices
    const trialsOf = point =>
      points[Number(point)].trials.map(trial => [String(trial), String(repetition[trial])])
    const trials = choice("repetition", trialsOf(options.point), options.trial, trial => {
      options.trial = trial
      redraw()
    })
    const select = trials.querySelector("select")
    return [
      choice(
        "point",
        points.map((point, place) => [String(place), point.text]),
        options.point,
        point => {
          // The same repetition of the other point, where it has one.
          const before = String(repetition[Number(options.trial)])
          const own = trialsOf(point)
          options.point = point
          options.trial = (own.find(([, number]) => number === before) ?? own[0])[0]
          select.replaceChildren(
            ...own.map(([key, text]) => element("option", { value: key }, text)),
          )
          select.value = options.trial
          redraw()
        },
      ),
      trials,
    ]
  },
  panels(options) {
    const table = data.matrices
    const trial = Number(options.trial)
    const count = table.classes[trial]
    const z = Array.from({ length: count }, () => Array(count).fill(0))
    table.cells[trial].forEach((cell, place) => {
      z[Math.floor(cell / count)][cell % count] = table.images[trial][place]
    })
    const totals = z.map(row => row.reduce((sum, images) => sum + images, 0))
    const shares = z.map((row, label) =>
      row.map(images => (totals[label] ? (100 * images) / totals[label] : 0)),
    )
    const tested = [...totals.keys()].filter(label => totals[label])
    const missing = new Set(table.missing[trial])
    return [
      { title: `after step ${table.step[trial]}`, ...heatmap(shares, options.trial) },
      {
        title: "accuracy of each class",
        traces: [
          {
            x: tested,
            y: tested.map(label => shares[label][label]),
            mode: "markers",
            marker: {
              size: 8,
              color: fixedColour(0),
              symbol: tested.map(label => (missing.has(label) ? "circle-open" : "circle")),
            },
            hoverinfo: "text",
            hovertext: tested.map(label =>
              lines(
                `class ${label}${missing.has(label) ? ", missing in this trial" : ""}`,
                `${z[label][label]} of ${totals[label]} images are recognised`,
              ),
            ),
          },
        ],
        layout: {
          xaxis: { title: "class", dtick: count > 20 ? 5 : 1 },
          yaxis: { title: "accuracy (%)", range: [0, 100] },
        },
      },
    ]
  },
}
