// What is shown: which values of the group factors, and which methods. The address keeps it after
// the section, so that it can be shared: #frontiers&f0=1.2&m=3 hides the values 1 and 2 of factor 0
// and the method 3.
const data = JSON.parse(document.getElementById("findings").textContent)
const hidden = { factors: data.factors.map(() => new Set()), methods: new Set() }
const listeners = []

const groupShown = group =>
  group < 0 || data.groups[group].at.every((value, factor) => !hidden.factors[factor].has(value))
const methodShown = method => method < 0 || !hidden.methods.has(method)
const isShown = (group, method) => groupShown(group) && methodShown(method)

function address() {
  const anchor = location.hash.slice(1).split("&")[0]
  const parts = hidden.factors.map((set, factor) => [`f${factor}`, set])
  const told = [...parts, ["m", hidden.methods]]
    .filter(([, set]) => set.size)
    .map(([name, set]) => `${name}=${[...set].join(".")}`)
  return `#${[anchor, ...told].join("&")}`
}

function readAddress() {
  for (const part of location.hash.slice(1).split("&").slice(1)) {
    const [name, numbers] = part.split("=")
    const [set, count] =
      name === "m"
        ? [hidden.methods, data.methods.length]
        : [
            hidden.factors[Number(name.slice(1))],
            data.factors[Number(name.slice(1))]?.values.length,
          ]
    for (const number of (numbers ?? "").split(".").map(Number))
      if (set && number >= 0 && number < count) set.add(number)
  }
}

function remember() {
  try {
    history.replaceState(null, "", address())
  } catch {
    /* the page works without an address of its own */
  }
}

function changed() {
  remember()
  for (const listener of listeners) listener()
}

function toggle(set, value, on) {
  if (on) set.delete(value)
  else set.add(value)
  changed()
}

// An element whose text children are never read as HTML.
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name)
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value)
    else if (value !== null && value !== undefined) made.setAttribute(key, value)
  }
  made.append(...children)
  return made
}

function checkbox(label, checked, onchange) {
  const box = element("input", { type: "checkbox", onchange: () => onchange(box.checked) })
  box.checked = checked
  return [element("label", {}, box, " ", label), box]
}

function choice(label, options, value, onchange) {
  const select = element(
    "select",
    { onchange: () => onchange(select.value) },
    ...options.map(([key, text]) => element("option", { value: key }, text)),
  )
  select.value = value
  return element("label", {}, label, " ", select)
}

// Indices of the rows of a column-wise table that are shown and pass.
const rowsOf = (table, pass = () => true) =>
  table?.g.map((_, row) => row).filter(row => isShown(table.g[row], table.m[row]) && pass(row)) ??
  []
const distinct = values => [...new Set(values)]
