// The legend of a chart: a button per method that hides it in all charts, and keys of other marks.
function legendOf(methods, keys) {
  const buttons = methods.map(method =>
    element(
      "li",
      {},
      element(
        "button",
        {
          type: "button",
          "aria-pressed": methodShown(method),
          title: "Show or hide everywhere",
          onclick: () => toggle(hidden.methods, method, !methodShown(method)),
        },
        sign(data.methods[method].symbol, colourOf(method)),
        data.methods[method].name,
      ),
    ),
  )
  return [
    ...buttons,
    ...keys.map(([colour, name, symbol]) =>
      element("li", { class: "key" }, sign(symbol ?? "line", colour), name),
    ),
  ]
}

// A marker that looks like plotly's.
function sign(symbol, colour) {
  const around = (count, turn, radius = () => 7) =>
    [...Array(count).keys()].map(place => {
      const angle = Math.PI * (turn + (2 * place) / count)
      return [8 + radius(place) * Math.sin(angle), 8 - radius(place) * Math.cos(angle)]
    })
  const plus = [
    [6, 1],
    [10, 1],
    [10, 6],
    [15, 6],
    [15, 10],
    [10, 10],
    [10, 15],
    [6, 15],
    [6, 10],
    [1, 10],
    [1, 6],
    [6, 6],
  ]
  const turned = plus.map(([x, y]) => [8 + (x - y) * Math.SQRT1_2, 8 + (x + y - 16) * Math.SQRT1_2])
  const shapes = {
    circle: around(24, 0),
    square: around(4, 1 / 4),
    diamond: around(4, 0),
    "triangle-up": around(3, 0),
    "triangle-down": around(3, 1),
    "triangle-left": around(3, -1 / 2),
    "triangle-right": around(3, 1 / 2),
    cross: plus,
    x: turned,
    pentagon: around(5, 0),
    hexagon: around(6, 0),
    octagon: around(8, 1 / 8),
    star: around(10, 0, place => (place % 2 ? 3.2 : 8)),
    "diamond-tall": around(4, 0, place => (place % 2 ? 4 : 8)),
    line: [
      [0, 7],
      [16, 7],
      [16, 9],
      [0, 9],
    ],
    band: [
      [0, 3],
      [16, 3],
      [16, 13],
      [0, 13],
    ],
  }
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg")
  const polygon = document.createElementNS("http://www.w3.org/2000/svg", "polygon")
  svg.setAttribute("viewBox", "0 0 16 16")
  svg.setAttribute("aria-hidden", "true")
  polygon.setAttribute(
    "points",
    (shapes[symbol] ?? shapes.circle).map(point => point.join(",")).join(" "),
  )
  polygon.setAttribute("fill", symbol === "ring" ? "none" : colour)
  if (symbol === "ring") polygon.setAttribute("stroke", colour)
  svg.append(polygon)
  return svg
}
