// Panels, legends and colours: how a chart is drawn on the page. What it shows is in charts.js.
const PANELS = 12
const darkScheme = matchMedia("(prefers-color-scheme: dark)")
const coarse = matchMedia("(pointer: coarse)").matches // dragging with a finger scrolls the page
let printing = false

const isDark = () => darkScheme.matches && !printing
const theme = () =>
  isDark()
    ? { paper: "#15181c", ink: "#e6e8eb", grid: "#2c323a", axis: "#77808b", front: "#9aa3ad" }
    : { paper: "#ffffff", ink: "#1f2328", grid: "#e8ebee", axis: "#77808b", front: "#8c8c8c" }
const colourOf = method => (isDark() ? data.methods[method].dark : data.methods[method].colour)
const fixedColour = place =>
  (isDark()
    ? ["#58a6d6", "#f08a4b", "#35c79b", "#dd9dbf"]
    : ["#0072b2", "#d55e00", "#009e73", "#cc79a7"])[place % 4]
const faint = (colour, alpha) =>
  colour +
  Math.round(255 * alpha)
    .toString(16)
    .padStart(2, "0")

// Escaped text, since plotly interprets some HTML in every label.
const inert = text =>
  String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")
const short = (text, length) =>
  inert(
    [...String(text)].length > length
      ? `${[...String(text)].slice(0, length - 1).join("")}…`
      : text,
  )
const digits = (value, percent) =>
  value === null ? "n/a" : percent ? value.toFixed(1) : String(Number(value.toPrecision(4)))
const interval = (value, low, high, percent) =>
  `${digits(value, percent)} [${low === null || high === null ? "n/a" : `${digits(low, percent)}, ${digits(high, percent)}`}]${percent ? " %" : ""}`
const lines = (...told) => told.filter(Boolean).join("<br>")
const metricOf = name => data.metrics[name] ?? { name, axis: name, percent: false }

function bars(values, low, high, colour, place = value => value) {
  const ends = bound =>
    values.map((value, row) => Math.abs(place(bound[row] ?? value) - place(value)))
  return {
    type: "data",
    symmetric: false,
    array: ends(high),
    arrayminus: ends(low),
    thickness: 1,
    width: 0,
    color: colour,
  }
}

function limits(values, percent) {
  const known = values.filter(value => value !== null)
  let [low, high] = known.length ? [Math.min(...known), Math.max(...known)] : [0, 1]
  if (percent && high - low > 40) [low, high] = [0, 100]
  const margin = 0.05 * (high - low) || 0.05 * Math.abs(high) || 1
  const bounded = percent && low >= 0 && high <= 100
  return bounded
    ? [Math.max(0, low - margin), Math.min(100, high + margin)]
    : [low - margin, high + margin]
}

// A logarithmic axis whose ticks are a few round numbers.
function logarithmic(values) {
  const [low, high] = [Math.log10(Math.min(...values)), Math.log10(Math.max(...values))]
  const span = high - low
  const steps =
    span < 0.8 ? [1, 2, 3, 4, 5, 6, 8] : span < 1.5 ? [1, 2, 5] : span < 3 ? [1, 3] : [1]
  const apart = Math.max(1, Math.ceil(span / 7))
  const tickvals = []
  for (let decade = Math.floor(low); decade <= Math.ceil(high); decade += apart)
    tickvals.push(...steps.map(step => Number(`${step}e${decade}`)))
  return { type: "log", tickvals, ticktext: tickvals.map(rounded) }
}

// 1000, 20k, 3M, 0.01: a round number in few letters.
function rounded(value) {
  for (const [unit, letter] of [
    [1e9, "G"],
    [1e6, "M"],
    [1e4, "k"],
  ])
    if (value >= unit)
      return `${Number((value / (letter === "k" ? 1e3 : unit)).toPrecision(3))}${letter}`
  return String(Number(value.toPrecision(3)))
}

// A dot with its interval per entry, one below the other; an entry is {label, value, low, high,
// colour, symbol, open, text}.
function forest(entries, axis, zero, range) {
  const traces = entries.map((entry, row) => ({
    x: [entry.value],
    y: [row],
    mode: "markers",
    hoverinfo: "text",
    hovertext: [entry.text],
    name: inert(entry.label),
    error_x: bars([entry.value], [entry.low], [entry.high], entry.colour),
    marker: {
      color: entry.colour,
      size: 9,
      symbol: entry.open ? `${entry.symbol}-open` : entry.symbol,
      line: { width: 1.3, color: entry.colour },
    },
  }))
  return {
    traces,
    height: 75 + 24 * entries.length,
    layout: {
      xaxis: { title: axis, zeroline: zero, zerolinewidth: 2, ...(range ? { range } : {}) },
      yaxis: {
        tickvals: entries.map((_, row) => row),
        ticktext: entries.map(entry => short(entry.label, 26)),
        range: [entries.length - 0.4, -0.6],
        showgrid: false,
        ticks: "",
        zeroline: false,
      },
    },
  }
}

function layoutOf(panel, width) {
  const { paper, ink, grid, axis: edge } = theme()
  const axis = (given = {}) => {
    const { title, ...more } = given
    return {
      gridcolor: grid,
      linecolor: edge,
      zerolinecolor: edge,
      tickcolor: edge,
      zeroline: false,
      showline: true,
      ticks: "outside",
      ticklen: 4,
      automargin: true,
      title: { text: inert(title ?? ""), standoff: 8, font: { size: 12 } },
      ...more,
    }
  }
  const { xaxis, yaxis, ...more } = panel.layout ?? {}
  return {
    paper_bgcolor: paper,
    plot_bgcolor: paper,
    font: { color: ink, size: 11, family: "system-ui, sans-serif" },
    margin: { t: 12, r: 12, b: 40, l: 44 },
    hovermode: "closest",
    showlegend: false,
    dragmode: coarse ? false : "zoom",
    hoverlabel: {
      align: "left",
      bgcolor: paper,
      bordercolor: edge,
      font: { color: ink, size: 12 },
    },
    height: panel.height ?? 320,
    ...(width ? { width, autosize: false } : { autosize: true }),
    xaxis: axis(xaxis),
    yaxis: axis(yaxis),
    ...more,
  }
}

// plotly's own menu has a button that sends the data of a plot to a server.
const CONFIG = {
  displaylogo: false,
  responsive: true,
  showSendToCloud: false,
  plotlyServerURL: "",
  modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
}

class Chart {
  constructor(container, make) {
    this.container = container
    this.make = make
    this.options = { ...make.options?.() }
    this.stale = true
    this.near = false
    const redraw = () => this.draw()
    const controls = make.controls?.(this.options, redraw) ?? []
    this.legend = element("ul", { class: "legend" })
    this.panels = element("div", { class: "panels" })
    this.note = element("p", { class: "note", role: "status" })
    container.append(
      element("div", { class: "controls" }, ...controls),
      this.legend,
      this.panels,
      this.note,
    )
    new IntersectionObserver(
      entries => {
        this.near = entries.at(-1).isIntersecting
        if (this.near && this.stale) this.draw()
      },
      { rootMargin: "500px" },
    ).observe(container)
  }

  changed() {
    this.stale = true
    if (this.near || printing) this.draw()
  }

  draw() {
    this.stale = false
    const all = this.make.panels(this.options),
      most = this.make.most ?? PANELS,
      shown = all.slice(0, most)
    const focus = [...this.legend.querySelectorAll("button")].indexOf(document.activeElement)
    this.legend.replaceChildren(
      ...legendOf(this.make.methods?.() ?? [], this.make.keys?.(this.options) ?? []),
    )
    this.legend.querySelectorAll("button")[focus]?.focus()
    this.note.textContent = [
      data.notes[this.container.dataset.chart],
      all.length > most
        ? `${most} of ${all.length} panels are drawn; filter to see the others.`
        : "",
      all.length ? "" : "Everything in this chart is filtered out.",
    ]
      .filter(Boolean)
      .join(" ")
    this.panels.className = `panels ${["", "one", "two"][all.length] ?? ""}`
    while (this.panels.children.length > shown.length) {
      Plotly.purge(this.panels.lastElementChild.lastElementChild)
      this.panels.lastElementChild.remove()
    }
    while (this.panels.children.length < shown.length) {
      this.panels.append(
        element(
          "figure",
          {},
          element("figcaption"),
          element("div", { class: "plot", role: "img" }),
        ),
      )
    }
    shown.forEach((panel, place) => {
      const [caption, plot] = this.panels.children[place].children
      caption.textContent = panel.title
      caption.hidden = !panel.title
      plot.setAttribute(
        "aria-label",
        `${this.container.closest("section").querySelector("h2").textContent}: ${panel.title || "chart"}. ${data.elsewhere}`,
      )
      // Markers on the edge of a panel are drawn whole.
      const whole = trace => (trace.mode ? { cliponaxis: false, ...trace } : trace)
      Plotly.react(
        plot,
        panel.traces.map(whole),
        layoutOf(panel, printing ? (shown.length === 1 ? 500 : 330) : 0),
        CONFIG,
      )
    })
  }
}
