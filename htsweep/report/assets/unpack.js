// plotly.js as text from its gzip, then run as a script of the page: no network, and it works from a file:// address too.
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
window.plotly.catch(() => {}) // told by whoever waits for it
