// Draws the figures of a document: each is a .plot box, followed by its data and layouts as JSON.
// It draws one after the other, so that the text can be read meanwhile, and anew where the width changes.
"use strict";
(() => {
  const NARROW_BELOW = 760;
  const PRINTED_WIDTH = 920; // CSS shrinks it to the width of a page
  // No button may send a study's data anywhere.
  const BUTTONS = [["toImage", "zoom2d", "pan2d", "resetScale2d"]];

  const plots = Array.from(document.querySelectorAll(".plot"), (box) => ({
    box,
    figure: JSON.parse(box.parentElement.nextElementSibling.textContent),
    shown: "",
  }));

  function draw(plot, printed) {
    const { box, figure } = plot;
    const room = Math.floor(box.parentElement.clientWidth);
    const mode = printed ? "printed" : room < NARROW_BELOW ? "narrow" : "wide";
    const layout = { ...figure.layout, ...figure[mode] };
    layout.width = printed ? PRINTED_WIDTH : Math.max(room, figure.smallest_width);
    if (plot.shown === mode + layout.width) return;
    plot.shown = mode + layout.width;
    // Plotly keeps what it is given, and writes into it.
    Plotly.react(box, structuredClone(figure.data), structuredClone(layout), {
      displaylogo: false,
      displayModeBar: mode === "wide" ? "hover" : false,
      modeBarButtons: BUTTONS,
    });
    box.dataset.drawn = mode;
  }

  function drawAll(printed) {
    for (const plot of plots) draw(plot, printed);
  }

  function drawFrom(number) {
    if (number === plots.length) return;
    draw(plots[number], false);
    setTimeout(drawFrom, 0, number + 1);
  }

  let waiting = 0;
  addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(drawAll, 150, false);
  });

  let closed = [];
  addEventListener("beforeprint", () => {
    closed = Array.from(document.querySelectorAll("details:not([open])"));
    for (const details of closed) details.open = true;
    drawAll(true);
  });
  addEventListener("afterprint", () => {
    for (const details of closed) details.open = false;
    drawAll(false);
  });

  drawFrom(0);
})();
