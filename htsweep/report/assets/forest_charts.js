// Charts with a row per method, component or parameter.
const metricChoice = (table, options, redraw) =>
  distinct(table.metric).length > 1
    ? [
        choice(
          "metric",
          distinct(table.metric).map(name => [name, metricOf(name).name]),
          options.metric,
          name => {
            options.metric = name
            redraw()
          },
        ),
      ]
    : []
const preferred = (table, ...names) =>
  names.find(name => table.metric.includes(name)) ?? table.metric[0]

charts.volumes = {
  options: () => ({ reference: distinct(data.volumes.reference)[0] }),
  controls: (options, redraw) => [
    choice(
      "reference",
      distinct(data.volumes.reference).map(name => [name, name]),
      options.reference,
      name => {
        options.reference = name
        redraw()
      },
    ),
  ],
  methods: () => methodsOf(data.volumes),
  panels(options) {
    const table = data.volumes
    return byGroup(
      table,
      rowsOf(table, row => table.reference[row] === options.reference),
    ).map(([group, rows]) => ({
      title: titleOf(group),
      ...forest(
        rows.map(row => {
          const { name, symbol } = data.methods[table.m[row]]
          return {
            label: name,
            value: table.volume[row],
            low: table.low[row],
            high: table.high[row],
            colour: colourOf(table.m[row]),
            symbol,
            text: lines(
              `<b>${inert(name)}</b>`,
              interval(table.volume[row], table.low[row], table.high[row], table.percent),
              `n = ${table.n[row]}`,
            ),
          }
        }),
        `hypervolume${table.percent ? " (%)" : ""}`,
        false,
        limits(
          ["low", "volume", "high"].flatMap(end => take(table, end, rows)),
          table.percent,
        ),
      ),
    }))
  },
}

charts.ablation = {
  options: () => ({ metric: preferred(data.ablation, "test/overall_accuracy", "test/ausuc") }),
  controls: (options, redraw) => metricChoice(data.ablation, options, redraw),
  panels(options) {
    const table = data.ablation,
      { name, percent } = metricOf(options.metric),
      several = distinct(table.kind).length > 1
    return byGroup(
      table,
      rowsOf(table, row => table.metric[row] === options.metric),
    ).map(([group, rows]) => ({
      title: titleOf(group),
      ...forest(
        rows.map(row => ({
          label: several ? `${table.component[row]} (${table.kind[row]})` : table.component[row],
          value: table.effect[row],
          low: table.low[row],
          high: table.high[row],
          symbol: "circle",
          colour:
            table.low[row] > 0
              ? fixedColour(0)
              : table.high[row] !== null && table.high[row] < 0
                ? fixedColour(1)
                : theme().front,
          open: !(table.low[row] > 0 || (table.high[row] !== null && table.high[row] < 0)),
          text: lines(
            `<b>${inert(table.component[row])}</b>`,
            inert(table.kind[row]),
            interval(table.effect[row], table.low[row], table.high[row], percent),
            inert(table.verdict[row]),
          ),
        })),
        `effect on ${name}${percent ? " (points)" : ""}`,
        true,
      ),
    }))
  },
  keys: () => [
    [fixedColour(0), "raises", "circle"],
    [fixedColour(1), "lowers", "circle"],
    [theme().front, "0 is in the interval (open)", "circle"],
  ],
}

charts.importance = {
  panels() {
    const table = data.importance,
      rows = rowsOf(table),
      evaluators = distinct(table.evaluator)
    const panels = Map.groupBy(rows, row => JSON.stringify([table.m[row], table.objective[row]]))
    return [...panels.values()].map(some => {
      const parameters = distinct(take(table, "parameter", some)),
        method = data.methods[table.m[some[0]]]?.name
      const objective = metricOf(table.objective[some[0]]).name
      return {
        title: method === undefined ? objective : `${method}: ${objective}`,
        height: 80 + 22 * parameters.length * evaluators.length,
        traces: evaluators.map((evaluator, place) => {
          const mine = some.filter(row => table.evaluator[row] === evaluator)
          return {
            type: "bar",
            orientation: "h",
            x: mine.map(row => 100 * table.importance[row]),
            y: mine.map(row => parameters.indexOf(table.parameter[row])),
            marker: {
              color: fixedColour(place),
              opacity: mine.map(row => (table.verdict[row] === "shown" ? 1 : 0.35)),
            },
            name: inert(evaluator),
            hoverinfo: "text",
            textposition: "none",
            hovertext: mine.map(row =>
              lines(
                `<b>${inert(table.parameter[row])}</b>`,
                inert(`${evaluator}: ${digits(100 * table.importance[row], true)} %`),
                inert(`p (Holm) ${digits(table.p_holm[row], true)}: ${table.verdict[row]}`),
              ),
            ),
          }
        }),
        layout: {
          barmode: "group",
          bargap: 0.25,
          xaxis: {
            title: "share of the variation (%)",
            range: [0, limits([0, ...some.map(row => 100 * table.importance[row])], true)[1]],
          },
          yaxis: {
            tickvals: parameters.map((_, place) => place),
            ticktext: parameters.map(name => short(name, 26)),
            range: [parameters.length - 0.5, -0.5],
            showgrid: false,
            ticks: "",
          },
        },
      }
    })
  },
  keys: () => [
    ...distinct(data.importance.evaluator).map((name, place) => [
      fixedColour(place),
      name,
      "square",
    ]),
    [theme().front, "pale: not shown to matter"],
  ],
}

charts.ranks = {
  keys: () => [[theme().front, "no critical difference"]],
  panels() {
    const table = data.ranks
    return [
      ...Map.groupBy(
        table.m.map((_, row) => row),
        row => table.metric[row],
      ),
    ].map(([metric, all]) => {
      const rows = all
        .filter(row => methodShown(table.m[row]))
        .sort((a, b) => table.rank[a] - table.rank[b])
      const difference = table.critical_difference[all[0]],
        p = table.friedman_p[all[0]],
        { front, ink } = theme()
      const made = forest(
        rows.map(row => {
          const { name, symbol } = data.methods[table.m[row]]
          return {
            label: name,
            value: table.rank[row],
            low: null,
            high: null,
            colour: colourOf(table.m[row]),
            symbol,
            text: lines(
              `<b>${inert(name)}</b>`,
              `mean rank ${digits(table.rank[row], false)} over ${table.blocks[row]} blocks`,
            ),
          }
        }),
        "mean rank (1 is best)",
        false,
      )
      const found = cliqueBars(metric, rows)
      const bar = (from, to, y, colour, width) => ({
        x: [from, to],
        y: [y, y],
        mode: "lines",
        hoverinfo: "skip",
        name: "no critical difference",
        line: { color: colour, width },
      })
      made.traces.unshift(
        ...found.map(([from, to], place) => bar(from, to, rows.length + 0.35 * place, front, 5)),
      )
      if (difference !== null) made.traces.push(bar(1, 1 + difference, -1, ink, 2))
      made.layout.yaxis.range = [rows.length + 0.35 * found.length, -1.7]
      made.layout.xaxis.range = [0.7, Math.max(all.length, 1 + (difference ?? 0)) + 0.3]
      made.layout.annotations =
        difference === null
          ? []
          : [
              {
                x: 1,
                xanchor: "left",
                y: -1.35,
                text: `critical difference ${digits(difference, false)}`,
                showarrow: false,
                font: { size: 11 },
              },
            ]
      made.height += 55 + 8 * found.length
      return {
        ...made,
        title: `${metricOf(metric).name}: ${table.blocks[all[0]]} blocks, Friedman p = ${p === null ? "n/a" : p < 0.001 ? "< 0.001" : Number(p.toPrecision(2))}`,
      }
    })
  },
}

// First and last rank of each clique's visible methods, without bars that lie inside another.
function cliqueBars(metric, rows) {
  const ranks = new Map(rows.map(row => [data.ranks.m[row], data.ranks.rank[row]]))
  const bars = (data.cliques[metric] ?? [])
    .map(methods => methods.filter(method => ranks.has(method)).map(method => ranks.get(method)))
    .filter(inside => inside.length > 1)
    .map(inside => [inside[0], inside.at(-1)])
  return bars.filter(
    ([from, to], place) =>
      !bars.some(
        ([first, last], other) =>
          first <= from && to <= last && (last - first > to - from || other < place),
      ),
  )
}
