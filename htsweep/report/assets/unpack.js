// Unpacks plotly.js from gzip and runs it as a script of the page: without a network, and also from
// a file:// address.
window.plotly = (async () => {
  if (!("DecompressionStream" in window))
    throw new Error("This browser cannot unpack the charts (no DecompressionStream).")
  const packed = document.getElementById("plotly-packed")
  const bytes = Uint8Array.from(atob(packed.textContent), letter => letter.charCodeAt(0))
  packed.remove()
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))
  const script = document.createElement("script")
  script.textContent = await new Response(stream).text()
  document.head.append(script)
  return window.Plotly
})()
window.plotly.catch(() => {}) // whoever awaits it reports the error
