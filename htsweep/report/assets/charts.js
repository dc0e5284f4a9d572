// What the charts show: the controls of each and, from the rows that are shown, its panels of
// plotly traces.

// In a panel with more points, those neither chosen nor on the front are small, without intervals.
const FEW = 16
const charts = {}
const methodsOf = table =>
  distinct(table.m)
    .filter(method => method >= 0)
    .sort((a, b) => a - b)
const byGroup = (table, rows) =>
  [...Map.groupBy(rows, row => table.g[row])].sort(([a], [b]) => a - b)
const titleOf = group => data.groups[group]?.title ?? ""
const take = (table, column, rows) => rows.map(row => table[column][row])

// Corners of the edge between what the rows of a front reach and what none does.
function staircase(table, front, ends, place) {
  const rows = front.toSorted((a, b) => table.x[a] - table.x[b] || table.y[b] - table.y[a])
  const x = [ends[0], ...rows.flatMap(row => [table.x[row], table.x[row]])].map(place)
  return { x, y: [...rows.flatMap(row => [table.y[row], table.y[row]]), ends[1]] }
}

charts.frontiers = {
  options: () => ({
    intervals: true,
    own: false,
    attained: false,
    chosen: false,
    stretched: Boolean(data.frontiers.ticks),
  }),
  controls: (options, redraw) =>
    [
      ["intervals", "intervals"],
      ["own", "each method's front"],
      ...(data.attainment.length
        ? [["attained", "attained by 25–75 % of repetitions, median"]]
        : []),
      ["chosen", "only chosen configurations"],
      ...(data.frontiers.ticks ? [["stretched", "scale stretched towards 100 %"]] : []),
    ].map(
      ([name, label]) =>
        checkbox(label, options[name], on => {
          options[name] = on
          redraw()
        })[0],
    ),
  methods: () => methodsOf(data.frontiers),
  keys: () => [
    [theme().front, "front"],
    ...(ringed(data.frontiers, rowsOf(data.frontiers))
      ? [[theme().ink, "chosen by the protocol", "ring"]]
      : []),
    ...(data.frontiers.disrupts.some(Boolean) ? [[theme().ink, "breaks the constraint", "x"]] : []),
  ],
  panels(options) {
    const table = data.frontiers
    const place = options.stretched
      ? value => -Math.log10(Math.max(101 - value, 1e-3))
      : value => value
    const rows = rowsOf(table, row => !options.chosen || table.chosen[row])
    const [x, y] = table.axes
    const spans = [
      limits(take(table, "x", rows), x.percent),
      limits(take(table, "y", rows), y.percent),
    ]
    const lowest = Math.min(...take(table, "x", rows), 100),
      highest = 100
    const margin = 0.05 * (place(highest) - place(lowest))
    const stretched = options.stretched
      ? {
          range: [place(lowest) - margin, place(highest)],
          tickvals: table.ticks.map(place),
          ticktext: table.ticks.map(String),
        }
      : { range: spans[0] }
    return byGroup(table, rows).map(([group, inside]) => ({
      title: titleOf(group),
      traces: frontierTraces(table, group, inside, options, place),
      layout: {
        uirevision: String(options.stretched),
        xaxis: { title: x.axis, ...stretched },
        yaxis: { title: y.axis, range: spans[1] },
      },
    }))
  },
}

// Whether chosen points are ringed: where some are chosen, and not all that compete.
const ringed = (table, rows) =>
  rows.some(row => table.chosen[row]) && rows.some(row => !table.chosen[row] && !table.role[row])

function frontierTraces(table, group, rows, options, place) {
  // The analysis lists the methods that beat a row; hidden ones do not compete.
  const beaten = options.chosen ? table.beaten_chosen : table.beaten,
    owned = options.chosen ? table.own_chosen : table.own
  const front = rows.filter(row => table.role[row] !== "bound" && !beaten[row].some(methodShown)),
    best = new Set(front)
  const ends = [Math.min(...take(table, "x", rows)), Math.min(...take(table, "y", rows))]
  const traces = options.attained ? attained(group, place) : []
  if (front.length)
    traces.push({
      ...staircase(table, front, ends, place),
      mode: "lines",
      hoverinfo: "skip",
      name: "front",
      line: { color: theme().front, width: 1.5 },
    })
  for (const [method, own] of [...Map.groupBy(rows, row => table.m[row])].sort(
    ([a], [b]) => a - b,
  )) {
    const colour = colourOf(method),
      { symbol, size, name } = data.methods[method]
    if (options.own && own.length > 1) {
      traces.push({
        ...staircase(
          table,
          own.filter(row => owned[row]),
          ends,
          place,
        ),
        mode: "lines",
        hoverinfo: "skip",
        name: `front of ${inert(name)}`,
        line: { color: colour, width: 1.2, dash: "dot" },
      })
    }
    const big = own.map(row => rows.length <= FEW || best.has(row) || table.chosen[row])
    const ended = bound =>
      own.map((row, index) => {
        if (!options.intervals || !big[index]) return null
        const end = table[bound][row]
        return end !== null && table.axes[bound[0] === "x" ? 0 : 1].percent
          ? Math.min(Math.max(end, 0), 100)
          : end
      })
    traces.push({
      x: take(table, "x", own).map(place),
      y: take(table, "y", own),
      mode: "markers",
      name: inert(name),
      hoverinfo: "text",
      hovertext: own.map(row => told(table, row)),
      error_x: bars(take(table, "x", own), ended("xl"), ended("xh"), colour, place),
      error_y: bars(take(table, "y", own), ended("yl"), ended("yh"), colour),
      marker: {
        symbol: own.map(row => (best.has(row) ? symbol : `${symbol}-open`)),
        color: colour,
        size: big.map(one => (one ? 9 : 5) * size),
        opacity: big.map(one => (one ? 1 : 0.6)),
        line: { width: 1.3, color: colour },
      },
    })
  }
  const ring = rows.filter(row => table.chosen[row])
  if (ringed(table, rows))
    traces.push({
      x: take(table, "x", ring).map(place),
      y: take(table, "y", ring),
      mode: "markers",
      hoverinfo: "skip",
      name: "chosen by the protocol",
      marker: { symbol: "circle-open", size: 17, color: theme().ink },
    })
  const broken = rows.filter(row => table.disrupts[row])
  if (broken.length)
    traces.push({
      x: take(table, "x", broken).map(place),
      y: take(table, "y", broken),
      mode: "markers",
      hoverinfo: "skip",
      name: "breaks the constraint",
      marker: { symbol: "x-thin", size: 7, line: { width: 1.4, color: theme().ink } },
    })
  return traces
}

function told(table, row) {
  const [x, y] = table.axes,
    sure = table.probability[row]
  const role = { bound: "upper bound: not a competitor", source: "source model" }[table.role[row]]
  return lines(
    `<b>${inert(data.methods[table.m[row]].name)}</b>`,
    inert(table.configuration[row]),
    inert(`${x.name}: ${interval(table.x[row], table.xl[row], table.xh[row], x.percent)}`),
    inert(`${y.name}: ${interval(table.y[row], table.yl[row], table.yh[row], y.percent)}`),
    `n = ${table.n[row]}, step ${table.step[row]}`,
    role,
    table.role[row] !== "bound" && sure !== null
      ? `on the front of all in ${Math.round(100 * sure)} % of bootstrap samples`
      : "",
    table.chosen[row] ? "chosen by the protocol" : "",
    table.disrupts[row] ? "breaks the non-disruption constraint" : "",
  )
}

function attained(group, place) {
  const traces = []
  const shown = data.attainment.filter(line => line.g === group && methodShown(line.m))
  for (const [method, some] of Map.groupBy(shown, line => line.m)) {
    const [outer, median, inner] = [0.25, 0.5, 0.75].map(share =>
      some.find(line => Math.abs(line.share - share) < 1e-9),
    )
    const colour = colourOf(method),
      name = inert(data.methods[method].name)
    if (outer && inner) {
      traces.push({
        x: [...outer.x, ...inner.x.toReversed()].map(place),
        y: [...outer.y, ...inner.y.toReversed()],
        fill: "toself",
        fillcolor: faint(colour, 0.16),
        line: { width: 0 },
        mode: "lines",
        hoverinfo: "skip",
        name: `25–75 % of ${name}`,
      })
    }
    if (median)
      traces.push({
        x: median.x.map(place),
        y: median.y,
        mode: "lines",
        line: { color: colour, width: 1.4 },
        hoverinfo: "skip",
        name: `median of ${name}`,
      })
  }
  return traces
}

charts.curves = {
  options: () => ({ bands: distinct(data.curves.map(line => line.m)).length < 6 }),
  controls: (options, redraw) => [
    checkbox("bands", options.bands, on => {
      options.bands = on
      redraw()
    })[0],
  ],
  methods: () => methodsOf({ m: data.curves.map(line => line.m) }),
  panels(options) {
    const shown = data.curves.filter(line => isShown(line.g, line.m))
    return [...Map.groupBy(shown, line => line.g)]
      .sort(([a], [b]) => a - b)
      .map(([group, some]) => ({
        title: titleOf(group),
        traces: some.flatMap(line =>
          withBand(
            line.seen,
            line.missing,
            line.low,
            line.high,
            colourOf(line.m),
            data.methods[line.m].name,
            options.bands,
            line.seen.map((seen, place) =>
              lines(
                `<b>${inert(data.methods[line.m].name)}</b>`,
                `seen: ${digits(seen, true)} %`,
                `missing: ${interval(line.missing[place], line.low[place], line.high[place], true)}`,
              ),
            ),
          ),
        ),
        layout: {
          xaxis: { title: "accuracy on seen classes (%)", range: [0, 100] },
          yaxis: { title: "accuracy on missing classes (%)", range: [0, 100] },
        },
      }))
  },
}

// A line with the band between `low` and `high`.
function withBand(x, y, low, high, colour, name, band, text, marks = {}) {
  const known = x
    .map((_, place) => place)
    .filter(place => low[place] !== null && high[place] !== null)
  const traces = []
  if (band && known.length > 1) {
    traces.push({
      x: [...known.map(place => x[place]), ...known.toReversed().map(place => x[place])],
      y: [...known.map(place => high[place]), ...known.toReversed().map(place => low[place])],
      fill: "toself",
      fillcolor: faint(colour, 0.15),
      line: { width: 0 },
      mode: "lines",
      hoverinfo: "skip",
      name: `band of ${inert(name)}`,
    })
  }
  traces.push({
    x,
    y,
    mode: "lines",
    line: { color: colour, width: 1.8 },
    hoverinfo: "text",
    hovertext: text,
    name: inert(name),
    ...marks,
  })
  return traces
}
