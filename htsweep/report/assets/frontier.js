// The page of the frontier only: one figure, filtered and zoomed by plotly's own controls.
window.plotly
  .then(plotly => {
    const { data, layout } = JSON.parse(document.getElementById("figure").textContent)
    // plotly's own menu has a button that sends the data of a plot to a server.
    return plotly.newPlot("frontier", data, layout, {
      displaylogo: false,
      responsive: true,
      showSendToCloud: false,
      plotlyServerURL: "",
    })
  })
  .catch(error => {
    document.getElementById("trouble").textContent = `No figure: ${error.message}`
  })
