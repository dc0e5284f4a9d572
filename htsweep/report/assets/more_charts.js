charts.volumes = {
  options: () => ({reference: distinct(data.volumes.reference)[0]}),
  controls: (options, redraw) => [choice("reference", distinct(data.volumes.reference).map(name => [name, name]), options.reference,
    name => { options.reference = name; redraw() })],
  methods: () => methodsOf(data.volumes),
  panels(options) {
    const table = data.volumes
    return byGroup(table, rowsOf(table, row => table.reference[row] === options.reference)).map(([group, rows]) => ({
      title: titleOf(group), ...forest(rows.map(row => {
        const {name, symbol} = data.methods[table.m[row]]
        return {label: name, value: table.volume[row], low: table.low[row], high: table.high[row], colour: colourOf(table.m[row]), symbol,
          text: lines(`<b>${inert(name)}</b>`, interval(table.volume[row], table.low[row], table.high[row], table.percent), `n = ${table.n[row]}`)}
      }), `hypervolume${table.percent ? " (%)" : ""}`, false),
    }))
  },
}

const metricChoice = (table, options, redraw) => distinct(table.metric).length > 1
  ? [choice("metric", distinct(table.metric).map(name => [name, metricOf(name).name]), options.metric, name => { options.metric = name; redraw() })] : []
const preferred = (table, ...names) => names.find(name => table.metric.includes(name)) ?? table.metric[0]

charts.ablation = {
  options: () => ({metric: preferred(data.ablation, "test/overall_accuracy", "test/ausuc")}),
  controls: (options, redraw) => metricChoice(data.ablation, options, redraw),
  panels(options) {
    const table = data.ablation, {name, percent} = metricOf(options.metric), several = distinct(table.kind).length > 1
    return byGroup(table, rowsOf(table, row => table.metric[row] === options.metric)).map(([group, rows]) => ({
      title: titleOf(group), ...forest(rows.map(row => ({
        label: several ? `${table.component[row]} (${table.kind[row]})` : table.component[row],
        value: table.effect[row], low: table.low[row], high: table.high[row], symbol: "circle",
        colour: table.low[row] > 0 ? fixedColour(0) : table.high[row] !== null && table.high[row] < 0 ? fixedColour(1) : theme().front,
        open: !(table.low[row] > 0 || (table.high[row] !== null && table.high[row] < 0)),
        text: lines(`<b>${inert(table.component[row])}</b>`, inert(table.kind[row]), interval(table.effect[row], table.low[row], table.high[row], percent), inert(table.verdict[row])),
      })), `effect on ${name}${percent ? " (points)" : ""}`, true),
    }))
  },
  keys: () => [[fixedColour(0), "raises", "circle"], [fixedColour(1), "lowers", "circle"], [theme().front, "0 is in the interval (open)", "circle"]],
}

charts.importance = {
  panels() {
    const table = data.importance, rows = rowsOf(table), evaluators = distinct(table.evaluator)
    const panels = Map.groupBy(rows, row => JSON.stringify([table.m[row], table.objective[row]]))
    return [...panels.values()].map(some => {
      const parameters = distinct(take(table, "parameter", some)), method = data.methods[table.m[some[0]]]?.name
      const objective = metricOf(table.objective[some[0]]).name
      return {title: method === undefined ? objective : `${method}: ${objective}`, height: 80 + 22 * parameters.length * evaluators.length,
        traces: evaluators.map((evaluator, place) => {
          const mine = some.filter(row => table.evaluator[row] === evaluator)
          return {type: "bar", orientation: "h", x: mine.map(row => 100 * table.importance[row]), y: mine.map(row => parameters.indexOf(table.parameter[row])),
            marker: {color: fixedColour(place)}, name: inert(evaluator), hoverinfo: "text", textposition: "none",
            hovertext: mine.map(row => lines(`<b>${inert(table.parameter[row])}</b>`, inert(`${evaluator}: ${digits(100 * table.importance[row], true)} %`)))}
        }),
        layout: {barmode: "group", bargap: 0.25, xaxis: {title: "share of the variation (%)", rangemode: "tozero"},
          yaxis: {tickvals: parameters.map((_, place) => place), ticktext: parameters.map(name => short(name, 26)),
            range: [parameters.length - 0.5, -0.5], showgrid: false, ticks: ""}}}
    })
  },
  keys: () => distinct(data.importance.evaluator).map((name, place) => [fixedColour(place), name, "square"]),
}

// Where values stand on an axis: by logarithm where they span decades (0, if any, a decade before the others), in order
// where they are no numbers.
function scaleOf(values) {
  const known = distinct(values), positive = known.filter(value => value > 0)
  if (!known.every(value => typeof value === "number")) {
    return {place: value => known.indexOf(value), axis: {tickvals: known.map((_, place) => place), ticktext: known.map(value => short(value ?? "none", 18))}}
  }
  if (!known.every(value => value >= 0) || Math.max(...positive) / Math.min(...positive) < 20) return {place: value => value, axis: {}}
  const zero = Math.min(...positive) / 10
  const ticks = known.length <= 8 ? {tickvals: known.map(value => value || zero), ticktext: known.map(value => String(Number(value.toPrecision(3))))} : {}
  return {place: value => value || zero, axis: {type: "log", ...(known.includes(0) || known.length <= 8 ? ticks : {dtick: 1})}}
}

const sensitivityMetrics = () => distinct(data.sensitivity.metric)

charts.sensitivity = {
  options: () => ({parameter: "", bands: true}),
  controls: (options, redraw) => [
    ...(distinct(data.sensitivity.parameter).length > 1 ? [choice("parameter", [["", "all"], ...distinct(data.sensitivity.parameter).map(name => [name, name])],
      options.parameter, name => { options.parameter = name; redraw() })] : []),
    checkbox("bands", options.bands, on => { options.bands = on; redraw() })[0]],
  keys: () => sensitivityMetrics().map((name, place) => [fixedColour(place), metricOf(name).name]),
  panels(options) {
    const table = data.sensitivity
    const rows = rowsOf(table, row => !options.parameter || table.parameter[row] === options.parameter)
    const panels = Map.groupBy(rows, row => JSON.stringify([table.m[row], table.parameter[row], table.g[row]]))
    return [...panels.values()].map(some => {
      const first = some[0], {place, axis} = scaleOf(take(table, "value", some))
      const traces = sensitivityMetrics().flatMap((metric, number) => {
        const mine = some.filter(row => table.metric[row] === metric).sort((a, b) => place(table.value[a]) - place(table.value[b]))
        const colour = fixedColour(number), {name, percent} = metricOf(metric)
        return mine.length ? withBand(take(table, "value", mine).map(place), take(table, "mean", mine), take(table, "low", mine), take(table, "high", mine),
          colour, name, options.bands, mine.map(row => lines(inert(`${table.parameter[row]} = ${table.value[row]}`),
            inert(`${name}: ${interval(table.mean[row], table.low[row], table.high[row], percent)}`))),
          {mode: "lines+markers", marker: {color: colour, size: 6, symbol: ["circle", "square", "triangle-up", "diamond"][number % 4]}}) : []
      })
      const percent = sensitivityMetrics().every(name => metricOf(name).percent)
      return {title: [data.methods[table.m[first]]?.name, titleOf(table.g[first])].filter(Boolean).join(": "), traces, height: 290,
        layout: {uirevision: JSON.stringify([table.m[first], table.parameter[first], table.g[first]]),
          xaxis: {title: table.parameter[first], ...axis}, yaxis: {title: percent ? "accuracy (%)" : "value"}}}
    })
  },
}

charts.costs = {
  options: () => ({cost: Object.keys(data.costs.kinds)[0], metric: preferred(data.costs, "test/overall_accuracy")}),
  controls: (options, redraw) => [
    choice("cost", Object.entries(data.costs.kinds), options.cost, name => { options.cost = name; redraw() }),
    ...metricChoice(data.costs, options, redraw)],
  methods: () => methodsOf(data.costs),
  keys: () => [[theme().front, "front of all"]],
  panels(options) {
    const table = data.costs, passes = row => table.cost[row] === options.cost && table.metric[row] === options.metric && table.value[row] !== null
    const rows = rowsOf(table, passes), {percent, name} = metricOf(options.metric)
    const every = table.g.map((_, row) => row).filter(passes)
    const log = rows.length && rows.every(row => table.value[row] > 0) && Math.max(...take(table, "value", rows)) / Math.min(...take(table, "value", rows)) >= 5
    const xaxis = {title: data.costs.kinds[options.cost], ...(log ? {type: "log", ...(Math.max(...take(table, "value", rows)) / Math.min(...take(table, "value", rows)) >= 100 ? {dtick: 1} : {nticks: 6})} : {})}
    const range = limits(take(table, "mean", rows), percent)
    return byGroup(table, rows).map(([group, inside]) => {
      const front = every.filter(row => table.g[row] === group && table.front[row]).sort((a, b) => table.value[a] - table.value[b])
      const edge = {x: front.flatMap((row, place) => place ? [table.value[row], table.value[row]] : [table.value[row]]),
        y: front.flatMap((row, place) => place ? [table.mean[front[place - 1]], table.mean[row]] : [table.mean[row]])}
      const traces = [{...edge, mode: "lines", hoverinfo: "skip", name: "front", line: {color: theme().front, width: 1.5}}]
      for (const [method, own] of Map.groupBy(inside, row => table.m[row])) {
        const colour = colourOf(method), {symbol, size, name: called} = data.methods[method]
        const small = inside.length > FEW, some = bound => own.map(row => small && !table.front[row] ? null : table[bound][row])
        traces.push({x: take(table, "value", own), y: take(table, "mean", own), mode: "markers", name: inert(called), hoverinfo: "text",
          error_x: bars(take(table, "value", own), some("valuel"), some("valueh"), colour), error_y: bars(take(table, "mean", own), some("low"), some("high"), colour),
          hovertext: own.map(row => lines(`<b>${inert(called)}</b>`, inert(table.configuration[row]),
            inert(`${data.costs.kinds[options.cost]}: ${interval(table.value[row], table.valuel[row], table.valueh[row], false)}`),
            inert(`${name}: ${interval(table.mean[row], table.low[row], table.high[row], percent)}`))),
          marker: {symbol: own.map(row => table.front[row] ? symbol : `${symbol}-open`), color: colour, size: own.map(row => (small && !table.front[row] ? 5 : 9) * size), line: {width: 1.3, color: colour}}})
      }
      return {title: titleOf(group), traces, layout: {uirevision: options.cost + options.metric, xaxis, yaxis: {title: metricOf(options.metric).axis, range}}}
    })
  },
}

charts.ranks = {
  keys: () => [[theme().front, "no critical difference"]],
  panels() {
    const table = data.ranks
    return [...Map.groupBy(table.m.map((_, row) => row), row => table.metric[row])].map(([metric, all]) => {
      const rows = all.filter(row => methodShown(table.m[row])).sort((a, b) => table.rank[a] - table.rank[b])
      const difference = table.critical_difference[all[0]], p = table.friedman_p[all[0]], {front, ink} = theme()
      const made = forest(rows.map(row => {
        const {name, symbol} = data.methods[table.m[row]]
        return {label: name, value: table.rank[row], low: null, high: null, colour: colourOf(table.m[row]), symbol,
          text: lines(`<b>${inert(name)}</b>`, `mean rank ${digits(table.rank[row], false)} over ${table.blocks[row]} groups`)}
      }), "mean rank (1 is best)", false)
      const found = cliqueBars(metric, rows)
      const bar = (from, to, y, colour, width) => ({x: [from, to], y: [y, y], mode: "lines", hoverinfo: "skip", name: "no critical difference", line: {color: colour, width}})
      made.traces.unshift(...found.map(([from, to], place) => bar(from, to, rows.length + 0.35 * place, front, 5)))
      if (difference !== null) made.traces.push(bar(1, 1 + difference, -1, ink, 2))
      made.layout.yaxis.range = [rows.length + 0.35 * found.length, -1.7]
      made.layout.xaxis.range = [0.7, Math.max(all.length, 1 + (difference ?? 0)) + 0.3]
      made.layout.annotations = difference === null ? [] : [{x: 1, xanchor: "left", y: -1.35, text: `critical difference ${digits(difference, false)}`, showarrow: false, font: {size: 11}}]
      made.height += 55 + 8 * found.length
      return {...made, title: `${metricOf(metric).name}: ${table.blocks[all[0]]} groups, Friedman p = ${p === null ? "n/a" : p < 0.001 ? "< 0.001" : Number(p.toPrecision(2))}`}
    })
  },
}

// First and last rank of each clique's methods that are shown, without bars that lie inside another.
function cliqueBars(metric, rows) {
  const ranks = new Map(rows.map(row => [data.ranks.m[row], data.ranks.rank[row]]))
  const bars = (data.cliques[metric] ?? []).map(methods => methods.filter(method => ranks.has(method)).map(method => ranks.get(method)))
    .filter(inside => inside.length > 1).map(inside => [inside[0], inside.at(-1)])
  return bars.filter(([from, to], place) => !bars.some(([first, last], other) =>
    first <= from && to <= last && (last - first > to - from || other < place)))
}

charts.ratios = {
  options: () => ({metric: preferred(data.ratios, "test/harmonic_mean")}),
  controls: (options, redraw) => metricChoice(data.ratios, options, redraw),
  methods: () => methodsOf(data.ratios),
  panels(options) {
    const table = data.ratios, {axis, percent, name} = metricOf(options.metric)
    const rows = rowsOf(table, row => table.metric[row] === options.metric && table.ratio[row] !== null)
    const range = limits(take(table, "mean", rows), percent)
    return [...Map.groupBy(rows, row => table.panel[row])].map(([title, some]) => ({title,
      traces: [...Map.groupBy(some, row => table.m[row])].map(([method, own]) => {
        const mine = own.toSorted((a, b) => table.ratio[a] - table.ratio[b]), colour = colourOf(method), {symbol, name: called} = data.methods[method]
        return {x: take(table, "ratio", mine), y: take(table, "mean", mine), mode: "lines+markers", name: inert(called), line: {color: colour, width: 1.5},
          marker: {color: colour, symbol, size: 8}, error_y: bars(take(table, "mean", mine), take(table, "low", mine), take(table, "high", mine), colour), hoverinfo: "text",
          hovertext: mine.map(row => lines(`<b>${inert(called)}</b>`, `${table.ratio[row]} % missing`, inert(`${name}: ${interval(table.mean[row], table.low[row], table.high[row], percent)}`)))}
      }),
      layout: {uirevision: options.metric, xaxis: {title: "missing classes (%)", tickvals: distinct(take(table, "ratio", rows)), range: limits(take(table, "ratio", rows), false)}, yaxis: {title: axis, range}},
    }))
  },
}
