// Charts of a metric against a parameter, a cost or the missing ratio.

// Where values lie on an axis: by logarithm if they span decades (0, if any, a decade before the
// others), in order if they are not numbers.
function scaleOf(values) {
  const known = distinct(values),
    positive = known.filter(value => value > 0)
  if (!known.every(value => typeof value === "number")) {
    return {
      place: value => known.indexOf(value),
      axis: {
        tickvals: known.map((_, place) => place),
        ticktext: known.map(value => short(value ?? "none", 18)),
      },
    }
  }
  if (!known.every(value => value >= 0) || Math.max(...positive) / Math.min(...positive) < 20)
    return { place: value => value, axis: {} }
  const zero = Math.min(...positive) / 10
  const few = { type: "log", tickvals: positive, ticktext: positive.map(rounded) }
  const axis = known.length <= 8 ? few : logarithmic(positive)
  if (known.includes(0)) {
    // Ticks of the decade below would stand where 0 is.
    const kept = axis.tickvals.map(tick => tick > 1.5 * zero)
    axis.ticktext = ["0", ...axis.ticktext.filter((_, at) => kept[at])]
    axis.tickvals = [zero, ...axis.tickvals.filter((_, at) => kept[at])]
  }
  return { place: value => value || zero, axis }
}

const sensitivityMetrics = () => distinct(data.sensitivity.metric)

charts.sensitivity = {
  options: () => ({ parameter: "", bands: true }),
  controls: (options, redraw) => [
    ...(distinct(data.sensitivity.parameter).length > 1
      ? [
          choice(
            "parameter",
            [["", "all"], ...distinct(data.sensitivity.parameter).map(name => [name, name])],
            options.parameter,
            name => {
              options.parameter = name
              redraw()
            },
          ),
        ]
      : []),
    checkbox("bands", options.bands, on => {
      options.bands = on
      redraw()
    })[0],
  ],
  keys: () => sensitivityMetrics().map((name, place) => [fixedColour(place), metricOf(name).name]),
  panels(options) {
    const table = data.sensitivity
    const rows = rowsOf(
      table,
      row => !options.parameter || table.parameter[row] === options.parameter,
    )
    const panels = Map.groupBy(rows, row =>
      JSON.stringify([table.m[row], table.parameter[row], table.g[row]]),
    )
    return [...panels.values()].map(some => {
      const first = some[0],
        { place, axis } = scaleOf(take(table, "value", some))
      const traces = sensitivityMetrics().flatMap((metric, number) => {
        const mine = some
          .filter(row => table.metric[row] === metric)
          .sort((a, b) => place(table.value[a]) - place(table.value[b]))
        const colour = fixedColour(number),
          { name, percent } = metricOf(metric)
        return mine.length
          ? withBand(
              take(table, "value", mine).map(place),
              take(table, "mean", mine),
              take(table, "low", mine),
              take(table, "high", mine),
              colour,
              name,
              options.bands,
              mine.map(row =>
                lines(
                  inert(`${table.parameter[row]} = ${table.value[row]}`),
                  inert(
                    `${name}: ${interval(table.mean[row], table.low[row], table.high[row], percent)}`,
                  ),
                ),
              ),
              {
                mode: "lines+markers",
                marker: {
                  color: colour,
                  size: 6,
                  symbol: ["circle", "square", "triangle-up", "diamond"][number % 4],
                },
              },
            )
          : []
      })
      const percent = sensitivityMetrics().every(name => metricOf(name).percent)
      return {
        title: [data.methods[table.m[first]]?.name, titleOf(table.g[first])]
          .filter(Boolean)
          .join(": "),
        traces,
        height: 290,
        layout: {
          uirevision: JSON.stringify([table.m[first], table.parameter[first], table.g[first]]),
          xaxis: { title: table.parameter[first], ...axis },
          yaxis: {
            title: percent ? "accuracy (%)" : "value",
            ...(percent
              ? {
                  range: limits(
                    ["low", "mean", "high"].flatMap(end => take(table, end, some)),
                    true,
                  ),
                }
              : {}),
          },
        },
      }
    })
  },
}

charts.costs = {
  options: () => ({
    cost: Object.keys(data.costs.kinds)[0],
    metric: preferred(data.costs, "test/overall_accuracy"),
  }),
  controls: (options, redraw) => [
    choice("cost", Object.entries(data.costs.kinds), options.cost, name => {
      options.cost = name
      redraw()
    }),
    ...metricChoice(data.costs, options, redraw),
  ],
  methods: () => methodsOf(data.costs),
  keys: () => [[theme().front, "front of all"]],
  panels(options) {
    const table = data.costs,
      passes = row =>
        table.cost[row] === options.cost &&
        table.metric[row] === options.metric &&
        table.value[row] !== null
    const rows = rowsOf(table, passes),
      { percent, name } = metricOf(options.metric)
    const every = table.g.map((_, row) => row).filter(passes)
    const log =
      rows.length &&
      rows.every(row => table.value[row] > 0) &&
      Math.max(...take(table, "value", rows)) / Math.min(...take(table, "value", rows)) >= 5
    const xaxis = {
      title: data.costs.kinds[options.cost],
      ...(log ? logarithmic(take(table, "value", rows)) : {}),
    }
    const range = limits(take(table, "mean", rows), percent)
    return byGroup(table, rows).map(([group, inside]) => {
      const front = every
        .filter(row => table.g[row] === group && table.front[row])
        .sort((a, b) => table.value[a] - table.value[b])
      const edge = {
        x: front.flatMap((row, place) =>
          place ? [table.value[row], table.value[row]] : [table.value[row]],
        ),
        y: front.flatMap((row, place) =>
          place ? [table.mean[front[place - 1]], table.mean[row]] : [table.mean[row]],
        ),
      }
      const traces = [
        {
          ...edge,
          mode: "lines",
          hoverinfo: "skip",
          name: "front",
          line: { color: theme().front, width: 1.5 },
        },
      ]
      for (const [method, own] of Map.groupBy(inside, row => table.m[row])) {
        const colour = colourOf(method),
          { symbol, size, name: called } = data.methods[method]
        const small = inside.length > FEW,
          some = bound => own.map(row => (small && !table.front[row] ? null : table[bound][row]))
        traces.push({
          x: take(table, "value", own),
          y: take(table, "mean", own),
          mode: "markers",
          name: inert(called),
          hoverinfo: "text",
          error_x: bars(take(table, "value", own), some("valuel"), some("valueh"), colour),
          error_y: bars(take(table, "mean", own), some("low"), some("high"), colour),
          hovertext: own.map(row =>
            lines(
              `<b>${inert(called)}</b>`,
              inert(table.configuration[row]),
              inert(
                `${data.costs.kinds[options.cost]}: ${interval(table.value[row], table.valuel[row], table.valueh[row], false)}`,
              ),
              inert(
                `${name}: ${interval(table.mean[row], table.low[row], table.high[row], percent)}`,
              ),
            ),
          ),
          marker: {
            symbol: own.map(row => (table.front[row] ? symbol : `${symbol}-open`)),
            color: colour,
            size: own.map(row => (small && !table.front[row] ? 5 : 9) * size),
            line: { width: 1.3, color: colour },
          },
        })
      }
      return {
        title: titleOf(group),
        traces,
        layout: {
          uirevision: options.cost + options.metric,
          xaxis,
          yaxis: { title: metricOf(options.metric).axis, range },
        },
      }
    })
  },
}

charts.ratios = {
  options: () => ({ metric: preferred(data.ratios, "test/harmonic_mean") }),
  controls: (options, redraw) => metricChoice(data.ratios, options, redraw),
  methods: () => methodsOf(data.ratios),
  panels(options) {
    const table = data.ratios,
      { axis, percent, name } = metricOf(options.metric)
    const rows = rowsOf(
      table,
      row => table.metric[row] === options.metric && table.ratio[row] !== null,
    )
    const range = limits(take(table, "mean", rows), percent)
    return [...Map.groupBy(rows, row => table.panel[row])].map(([title, some]) => ({
      title,
      traces: [...Map.groupBy(some, row => table.m[row])].map(([method, own]) => {
        const mine = own.toSorted((a, b) => table.ratio[a] - table.ratio[b]),
          colour = colourOf(method),
          { symbol, name: called } = data.methods[method]
        return {
          x: take(table, "ratio", mine),
          y: take(table, "mean", mine),
          mode: "lines+markers",
          name: inert(called),
          line: { color: colour, width: 1.5 },
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
              `<b>${inert(called)}</b>`,
              `${table.ratio[row]} % missing`,
              inert(
                `${name}: ${interval(table.mean[row], table.low[row], table.high[row], percent)}`,
              ),
            ),
          ),
        }
      }),
      layout: {
        uirevision: options.metric,
        xaxis: {
          title: "missing classes (%)",
          tickvals: distinct(take(table, "ratio", rows)),
          range: limits(take(table, "ratio", rows), true),
        },
        yaxis: { title: axis, range },
      },
    }))
  },
}
