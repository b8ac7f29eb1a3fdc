// Draws the figures of a page: each is a .plot box, followed by its data and layouts as JSON.
// Plotly follows the width of the page. Where a screen becomes narrow or wide, and for paper, the layout is another.
"use strict";
(() => {
  const NARROW = matchMedia("(max-width: 759px)");
  const PRINTED_WIDTH = 920; // CSS shrinks it to the width of a page
  // No button may send a study's data anywhere.
  const BUTTONS = [["toImage", "zoom2d", "pan2d", "resetScale2d"]];

  const plots = Array.from(document.querySelectorAll(".plot"), (box) => ({
    box,
    figure: JSON.parse(box.parentElement.nextElementSibling.textContent),
  }));

  function draw({ box, figure }, printed) {
    const mode = printed ? "printed" : NARROW.matches ? "narrow" : "wide";
    if (box.dataset.drawn === mode) return;
    const { height, ...layout } = { ...figure.layout, ...figure[mode] };
    box.style.height = `${height}px`;
    box.style.width = printed ? `${PRINTED_WIDTH}px` : "";
    // Plotly keeps what it is given, and writes into it.
    Plotly.react(box, structuredClone(figure.data), structuredClone(layout), {
      responsive: true,
      displaylogo: false,
      displayModeBar: mode === "wide" ? "hover" : false,
      modeBarButtons: BUTTONS,
    });
    box.dataset.drawn = mode;
  }

  const drawAll = (printed) => plots.forEach((plot) => draw(plot, printed));
  let isPrinting = false; // paper is narrow too, but it is no screen
  NARROW.addEventListener("change", () => isPrinting || drawAll(false));

  let closed = [];
  addEventListener("beforeprint", () => {
    isPrinting = true;
    closed = Array.from(document.querySelectorAll("details:not([open])"));
    for (const details of closed) details.open = true;
    drawAll(true);
  });
  addEventListener("afterprint", () => {
    isPrinting = false;
    for (const details of closed) details.open = false;
    drawAll(false);
  });

  // One after the other, so that the text can be read meanwhile.
  const drawFrom = (number) => {
    if (number === plots.length) return;
    draw(plots[number], false);
    setTimeout(drawFrom, 0, number + 1);
  };
  drawFrom(0);
})();
