"use strict";
(() => {
  // Tables: a click on a header sorts by its column, a second one reverses, a third one restores the order.
  // Numbers sort by value. Cells without a value stay at the end.
  const compare = (column, sign) => (one, other) => {
    const [a, b] = [one.cells[column], other.cells[column]];
    const [x, y] = [a, b].map((cell) => cell.dataset.value);
    if (x !== undefined || y !== undefined) {
      if (x === undefined || y === undefined) return x === undefined ? 1 : -1;
      return sign * (Number(x) - Number(y));
    }
    return sign * a.textContent.localeCompare(b.textContent, document.documentElement.lang, { numeric: true });
  };

  const nextOrder = { none: "ascending", ascending: "descending", descending: "none" };

  const sortBy = (table, original, header) => {
    const order = nextOrder[header.getAttribute("aria-sort") || "none"];
    for (const one of table.tHead.rows[0].cells) one.removeAttribute("aria-sort");
    if (order !== "none") header.setAttribute("aria-sort", order);
    const rows = [...original];
    if (order !== "none") rows.sort(compare(header.cellIndex, order === "ascending" ? 1 : -1));
    table.tBodies[0].append(...rows);
  };

  for (const table of document.querySelectorAll("table.sortable")) {
    const original = [...table.tBodies[0].rows];
    for (const header of table.tHead.rows[0].cells) {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...header.childNodes);
      header.append(button);
      button.addEventListener("click", () => sortBy(table, original, header));
    }
  }

  // Charts: the picture is replaced by a drawing that tells values, once the reader comes near it.
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  document.body.append(tip);

  const showTip = (_handler, event, _item, value) => {
    tip.hidden = value === null || value === undefined || value === "";
    if (tip.hidden) return;
    const lines = typeof value === "object" ? Object.entries(value) : [["", value]];
    tip.replaceChildren(
      ...lines.map(([name, text]) => {
        const line = document.createElement("div");
        line.textContent = name ? `${name}: ${text}` : String(text);
        return line;
      }),
    );
    const left = event.clientX + 14 + tip.offsetWidth > window.innerWidth ? event.clientX - 14 - tip.offsetWidth : event.clientX + 14;
    tip.style.left = `${Math.max(0, left)}px`;
    tip.style.top = `${Math.min(event.clientY + 14, window.innerHeight - tip.offsetHeight)}px`;
  };

  const loadVega = () => {
    if (!window.vegaEmbed) {
      const script = document.createElement("script");
      script.textContent = document.getElementById("vega").textContent;
      document.head.append(script);
    }
    return window.vegaEmbed;
  };

  const draw = async (figure) => {
    const live = figure.querySelector(".live");
    const spec = JSON.parse(document.getElementById(figure.dataset.spec).textContent);
    try {
      // ast: expressions are interpreted, never compiled, so that the page needs no permission for eval.
      await loadVega()(live, spec, { actions: false, ast: true, defaultStyle: false, logLevel: 1, renderer: "svg", tooltip: showTip });
      figure.classList.add("drawn");
    } catch (error) {
      live.replaceChildren();
      console.warn("The chart stays a picture:", error);
    }
  };

  const seen = new IntersectionObserver(
    (entries) => {
      for (const entry of entries.filter((one) => one.isIntersecting)) {
        seen.unobserve(entry.target);
        draw(entry.target);
      }
    },
    { rootMargin: "400px" },
  );
  for (const figure of document.querySelectorAll("figure[data-spec]")) seen.observe(figure);

  // Folded parts: open if a link leads there, and on paper.
  const details = [...document.querySelectorAll("details")];
  const openTarget = () => {
    for (const one of details) if (`#${one.id}` === window.location.hash) one.open = true;
  };
  window.addEventListener("hashchange", openTarget);
  openTarget();
  let folded = [];
  window.addEventListener("beforeprint", () => {
    folded = details.filter((one) => !one.open);
    for (const one of folded) one.open = true;
  });
  window.addEventListener("afterprint", () => {
    for (const one of folded) one.open = false;
  });
})();
