// Charts of pairs of source model and target data: scores and outcomes, regret, bounds.
const lookOf = (styles, place) => ({
  ...styles[place],
  colour: isDark() ? styles[place].dark : styles[place].colour,
})
const lineChoice = (lines, options, redraw) =>
  lines.length > 1
    ? [
        choice(
          data.compared,
          lines.map((line, place) => [place, line.name]),
          options.line,
          place => {
            options.line = Number(place)
            redraw()
          },
        ),
      ]
    : []
const firstLine = lines =>
  Math.max(
    0,
    lines.findIndex(line => line.name === data.baseline),
  )

function correlationOf(score, options) {
  const table = data.scores.correlations
  const row =
    table.score?.findIndex(
      (name, place) =>
        name === score &&
        table.line[place] === options.line &&
        table.metric[place] === options.metric &&
        table.target[place] === options.target,
    ) ?? -1
  if (row < 0 || table.tau[row] === null) return ""
  const two = value => (value === null ? "n/a" : value.toFixed(2))
  return `Kendall's τ ${two(table.tau[row])} [${two(table.low[row])}, ${two(table.high[row])}]`
}

charts.scores = {
  most: 24,
  options: () => ({
    metric: preferred(data.scores.achieved, "test/overall_accuracy"),
    line: firstLine(data.scores.lines),
    target: "",
  }),
  controls: (options, redraw) => [
    ...metricChoice(data.scores.achieved, options, redraw),
    ...lineChoice(data.scores.lines, options, redraw),
    ...(data.scores.targets.length > 1
      ? [
          choice(
            "target",
            [["", "all"], ...data.scores.targets.map(({ name }) => [name, name])],
            options.target,
            name => {
              options.target = name
              redraw()
            },
          ),
        ]
      : []),
  ],
  keys: () =>
    data.scores.targets.length > 1
      ? data.scores.targets.map((_, place) => {
          const { colour, name, symbol } = lookOf(data.scores.targets, place)
          return [colour, name, symbol]
        })
      : [],
  panels(options) {
    const { achieved, pairs, targets, names, lines: known } = data.scores,
      { axis, percent, name: metric } = metricOf(options.metric)
    const rows = achieved.pair
      .map((_, row) => row)
      .filter(
        row =>
          achieved.metric[row] === options.metric &&
          achieved.line[row] === options.line &&
          isShown(pairs.g[achieved.pair[row]], known[options.line].m) &&
          (!options.target || targets[pairs.target[achieved.pair[row]]].name === options.target),
      )
    const range = limits(take(achieved, "mean", rows), percent)
    return names
      .map(({ name: score }) => {
        const value = row =>
          score in data.scores.fitted
            ? data.scores.fitted[score][row]
            : data.scores.value[score][achieved.pair[row]]
        const there = rows.filter(row => value(row) !== null)
        const traces = [...Map.groupBy(there, row => pairs.target[achieved.pair[row]])].map(
          ([target, own]) => {
            const { colour, symbol, name } = lookOf(targets, target)
            return {
              x: own.map(value),
              y: take(achieved, "mean", own),
              mode: "markers",
              name: inert(name),
              hoverinfo: "text",
              error_y: bars(
                take(achieved, "mean", own),
                take(achieved, "low", own),
                take(achieved, "high", own),
                colour,
              ),
              hovertext: own.map(row =>
                lines(
                  `<b>${inert(pairs.name[achieved.pair[row]])}</b>`,
                  inert(`target ${name}`),
                  inert(`${score}: ${digits(value(row), false)}`),
                  inert(
                    `${metric}: ${interval(achieved.mean[row], achieved.low[row], achieved.high[row], percent)}`,
                  ),
                ),
              ),
              marker: { color: colour, symbol, size: 8 },
            }
          },
        )
        const told = correlationOf(score, options)
        return {
          score,
          there,
          title: told ? `${score}: ${told}` : score,
          traces,
          height: 270,
          layout: {
            uirevision: JSON.stringify(options),
            xaxis: { title: score, nticks: 6 },
            yaxis: { title: axis, range },
          },
        }
      })
      .filter(panel => panel.there.length)
  },
}

charts.regret = {
  options: () => ({
    metric:
      data.regret.curves.find(curve => curve.metric === "test/overall_accuracy")?.metric ??
      data.regret.curves[0].metric,
    line: firstLine(data.regret.lines),
  }),
  controls: (options, redraw) => [
    ...metricChoice({ metric: data.regret.curves.map(curve => curve.metric) }, options, redraw),
    ...lineChoice(data.regret.lines, options, redraw),
  ],
  keys: () => [
    ...distinct(data.regret.curves.map(curve => curve.score)).map(place => {
      const { colour, name, symbol } = lookOf(data.regret.names, place)
      return [colour, name, symbol]
    }),
    [theme().front, "drawn by chance"],
    ...(data.regret.curves.some(curve => curve.chosen.length)
      ? [[theme().ink, "the study's screen", "star"]]
      : []),
  ],
  panels(options) {
    const { percent, name: metric } = metricOf(options.metric)
    const shown = data.regret.curves.filter(
      curve =>
        curve.metric === options.metric &&
        curve.line === options.line &&
        methodShown(data.regret.lines[curve.line].m),
    )
    return [...Map.groupBy(shown, curve => curve.target)].map(([target, some]) => {
      const traces = some.map(curve => {
        const { colour, symbol, name } = lookOf(data.regret.names, curve.score)
        return {
          x: curve.keep,
          y: curve.regret,
          mode: "lines+markers",
          name: inert(name),
          line: { color: colour, width: 1.4 },
          marker: { color: colour, symbol, size: 7 },
          hoverinfo: "text",
          hovertext: curve.keep.map((keep, place) =>
            lines(
              `<b>${inert(name)}</b>`,
              `keeping ${keep} of ${curve.pairs} pairs${curve.of > curve.pairs ? ` (the results of ${curve.of - curve.pairs} more are not known)` : ""}`,
              inert(
                `${metric}: ${curve.low ? interval(curve.regret[place], curve.low[place], curve.high[place], percent) : digits(curve.regret[place], percent)} lost`,
              ),
            ),
          ),
        }
      })
      traces.push({
        x: some[0].keep,
        y: some[0].random,
        mode: "lines",
        name: "drawn by chance",
        line: { color: theme().front, width: 1.5, dash: "dash" },
        hoverinfo: "text",
        hovertext: some[0].random.map(value => `drawn by chance: ${digits(value, percent)} lost`),
      })
      for (const curve of some.filter(one => one.chosen.length))
        traces.push({
          x: curve.chosen.map(place => curve.keep[place]),
          y: curve.chosen.map(place => curve.regret[place]),
          mode: "markers",
          hoverinfo: "skip",
          name: "the study's screen",
          marker: { symbol: "star-open", size: 15, color: theme().ink, line: { width: 1.5 } },
        })
      const most = Math.max(...some.flatMap(curve => [...curve.regret, ...curve.random]), 1e-9)
      return {
        title: data.regret.targets.length > 1 ? data.regret.targets[target] : "",
        traces,
        layout: {
          uirevision: JSON.stringify(options),
          xaxis: { title: "pairs kept", dtick: Math.ceil(Math.max(...some[0].keep) / 8) },
          yaxis: {
            title: `lost ${metric}${percent ? " (points)" : ""}`,
            range: [-0.06 * most, 1.06 * most],
          },
        },
      }
    })
  },
}

const TERMS = [
  ["reweighted_source_loss", "source loss"],
  ["conditional_entropy", "label mismatch"],
  ["distribution", "distribution mismatch"],
  ["rest", "rest of the bound"],
]
const termsThere = () =>
  TERMS.map(([name, label], place) => [name, label, place]).filter(
    ([name]) => name !== "rest" || data.bounds.rest.some(value => value > 0),
  )

charts.bounds = {
  options: () => ({ score: "" }),
  controls: (options, redraw) =>
    distinct(data.bounds.score).length > 1
      ? [
          choice(
            "score",
            [["", "all"], ...distinct(data.bounds.score).map(name => [name, name])],
            options.score,
            name => {
              options.score = name
              redraw()
            },
          ),
        ]
      : [],
  keys: () => [
    ...termsThere().map(([, label, place]) => [fixedColour(place), label, "square"]),
    [theme().ink, "target loss", "diamond"],
    [theme().ink, "tighter bound", "band"],
  ],
  panels(options) {
    const table = data.bounds,
      rows = rowsOf(
        table,
        row => (!options.score || table.score[row] === options.score) && table.bound[row] !== null,
      )
    const several = distinct(table.score).length > 1 && !options.score
    return [...Map.groupBy(rows, row => table.target[row])].map(([target, some]) => {
      const places = some.map((_, place) => place)
      const text = some.map(row =>
        lines(
          `<b>${inert(table.pair[row])}</b>`,
          inert(table.score[row]),
          ...termsThere().map(([name, label]) => `${label}: ${digits(table[name][row], false)}`),
          `bound: ${digits(table.bound[row], false)}`,
          `tighter bound: ${digits(table.tighter_bound[row], false)}`,
          `target loss: ${digits(table.target_loss[row], false)}`,
          table.target_accuracy[row] === null
            ? ""
            : `target accuracy: ${digits(100 * table.target_accuracy[row], true)} %`,
        ),
      )
      const dots = (column, name, symbol, size) => ({
        x: take(table, column, some),
        y: places,
        mode: "markers",
        name,
        hoverinfo: "text",
        hovertext: text,
        marker: { symbol, size, color: theme().ink, line: { width: 2, color: theme().ink } },
      })
      const traces = termsThere().map(([name, label, place]) => ({
        type: "bar",
        orientation: "h",
        x: take(table, name, some),
        y: places,
        name: label,
        marker: { color: fixedColour(place) },
        hoverinfo: "text",
        hovertext: text,
        textposition: "none",
      }))
      const labels = some.map(row =>
        several ? `${table.pair[row]} (${table.score[row]})` : table.pair[row],
      )
      return {
        title: distinct(table.target).length > 1 ? target : "",
        height: 90 + 24 * some.length,
        traces: [
          ...traces,
          dots("tighter_bound", "tighter bound", "line-ns", 9),
          dots("target_loss", "target loss", "diamond", 8),
        ],
        layout: {
          barmode: "stack",
          bargap: 0.3,
          xaxis: { title: "loss", rangemode: "tozero" },
          yaxis: {
            tickvals: places,
            ticktext: labels.map(label => short(label, 30)),
            range: [some.length - 0.5, -0.5],
            showgrid: false,
            ticks: "",
          },
        },
      }
    })
  },
}
