// The page: filters, sortable tables, charts that follow the filters.
function filters() {
  const bar = document.getElementById("filters")
  const sets = [
    ...data.factors.map((factor, place) => [factor.name, factor.values, hidden.factors[place]]),
    [data.compared, data.methods.map(method => method.name), hidden.methods],
  ]
  for (const [name, values, set] of sets) {
    if (values.length < 2) continue
    const summary = element("summary")
    const boxes = values.map((value, place) =>
      checkbox(value, !set.has(place), on => toggle(set, place, on)),
    )
    const all = on => () => {
      for (const place of values.keys()) on ? set.delete(place) : set.add(place)
      changed()
    }
    const buttons = element(
      "div",
      { class: "all" },
      element("button", { type: "button", onclick: all(true) }, "all"),
      element("button", { type: "button", onclick: all(false) }, "none"),
    )
    const choices = element(
      "div",
      { class: "choices", role: "group", "aria-label": name },
      buttons,
      ...boxes.map(([label]) => label),
    )
    const menu = element("details", { ontoggle: () => keepOnScreen(choices) }, summary, choices)
    const tell = () => {
      boxes.forEach(([, box], place) => {
        box.checked = !set.has(place)
      })
      summary.textContent = `${name}: ${set.size ? `${values.length - set.size} of ${values.length}` : "all"}`
    }
    tell()
    listeners.push(tell)
    bar.append(menu)
  }
  const close = but => {
    for (const menu of bar.querySelectorAll("details[open]"))
      if (!menu.contains(but)) menu.open = false
  }
  document.addEventListener("click", event => close(event.target))
  bar.addEventListener("focusin", event => close(event.target))
  bar.addEventListener("keydown", event => {
    const menu = event.key === "Escape" && event.target.closest("details[open]")
    if (menu) {
      menu.open = false
      menu.querySelector("summary").focus()
    }
  })
  const reset = element(
    "button",
    {
      type: "button",
      onclick: () => {
        for (const [, , set] of sets) set.clear()
        changed()
      },
    },
    "Show all",
  )
  const told = document.getElementById("filtered")
  const tell = () => {
    const parts = sets
      .filter(([, , set]) => set.size)
      .map(
        ([name, values, set]) =>
          `${name}: without ${[...set].map(place => values[place]).join(", ")}`,
      )
    const baseline = data.methods.findIndex(method => method.name === data.baseline)
    const without = hidden.methods.has(baseline)
      ? `. Differences are still those to ${data.baseline}, the baseline, which is filtered out.`
      : ""
    told.textContent = parts.length ? `Filtered. ${parts.join("; ")}${without}` : ""
    reset.hidden = !parts.length
  }
  if (bar.children.length) bar.append(reset)
  tell()
  listeners.push(tell)
}

// Moves an open menu to the left as far as it leaves the screen on the right.
function keepOnScreen(choices) {
  choices.style.left = "0"
  const over = choices.getBoundingClientRect().right - document.documentElement.clientWidth + 8
  choices.style.left = `${Math.min(0, -over)}px`
}

// Hides filtered rows, and rows of other metrics than the chosen one; the latter are still printed.
function tables() {
  for (const table of document.querySelectorAll("main table")) {
    const rows = [...table.tBodies[0].rows]
    const follow = () => {
      for (const row of rows)
        row.classList.toggle("out", !isShown(Number(row.dataset.g), Number(row.dataset.m)))
    }
    follow()
    listeners.push(follow)
    sortable(table, rows)
    const kinds = distinct(rows.map(row => row.dataset.k))
    if (table.dataset.kinds && kinds.length > 1) {
      const show = kind => {
        for (const row of rows) row.classList.toggle("other", kind !== "" && row.dataset.k !== kind)
      }
      const first = kinds.includes(table.dataset.first) ? table.dataset.first : kinds[0]
      show(first)
      table.parentElement.before(
        element(
          "div",
          { class: "controls" },
          choice(
            table.dataset.kinds,
            [["", "all"], ...kinds.map(kind => [kind, kind])],
            first,
            show,
          ),
        ),
      )
    }
  }
}

function sortable(table, rows) {
  const heads = [...table.tHead.rows[0].cells]
  heads.forEach((head, place) => {
    const button = element(
      "button",
      {
        type: "button",
        onclick: () => {
          const way = head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending"
          for (const other of heads) other.removeAttribute("aria-sort")
          head.setAttribute("aria-sort", way)
          table.tBodies[0].append(...sorted(rows, place, way === "ascending" ? 1 : -1))
        },
      },
      head.textContent,
    )
    head.replaceChildren(button)
  })
}

// Sorted by number if the column has numbers (rows without one come last either way), else by text.
// The rows of a group stay together: what is compared is compared within it. Groups change places
// only where the column tells them apart.
function sorted(rows, place, sign) {
  const numeric = rows.some(row => row.cells[place].dataset.v !== undefined)
  const values = new Map(
    rows.map(row => [
      row,
      numeric ? Number(row.cells[place].dataset.v ?? NaN) : row.cells[place].textContent,
    ]),
  )
  const compare = (a, b) => {
    const [one, other] = [values.get(a), values.get(b)]
    if (!numeric) return sign * one.localeCompare(other, "en", { numeric: true })
    return Number.isNaN(one) - Number.isNaN(other) || (Number.isNaN(one) ? 0 : sign * (one - other))
  }
  const groups = [...Map.groupBy(rows, row => row.dataset.g).values()].map(own =>
    own.toSorted(compare),
  )
  if (groups.every(own => compare(own[0], own.at(-1)) === 0))
    groups.sort(([a], [b]) => compare(a, b))
  return groups.flat()
}

async function draw() {
  try {
    await window.plotly
  } catch (error) {
    document.getElementById("trouble").textContent = `No charts: ${error.message} ${data.elsewhere}`
    return
  }
  const made = [...document.querySelectorAll(".chart")].map(
    container => new Chart(container, charts[container.dataset.chart]),
  )
  const redraw = () => {
    for (const chart of made) chart.changed()
  }
  const print = on => () => {
    if (printing === on) return
    printing = on
    redraw()
    if (on) for (const chart of made) if (chart.stale) chart.draw()
  }
  listeners.push(redraw)
  darkScheme.addEventListener("change", redraw)
  window.addEventListener("beforeprint", print(true))
  window.addEventListener("afterprint", print(false))
  matchMedia("print").addEventListener("change", event => print(event.matches)())
}

document.getElementById("scriptless").remove()
readAddress()
filters()
tables()
draw()
document.getElementById(location.hash.slice(1).split("&")[0])?.scrollIntoView()
addEventListener("hashchange", () => {
  if (location.hash.includes("&")) {
    for (const set of [...hidden.factors, hidden.methods]) set.clear()
    readAddress()
    changed()
  } else {
    remember() // a link to a section keeps the filters
  }
})
