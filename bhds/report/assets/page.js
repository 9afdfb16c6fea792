"use strict";

// Draw tables, figures and the heat map from the data in the page, and apply the
// filter to all of them. Nothing is fetched.

const page = JSON.parse(document.getElementById("page-data").textContent);
const filter = { market: "", symbol: "" };
const listeners = [];

const matches = (market, symbol) =>
  (!filter.market || !market || market === filter.market) &&
  (!filter.symbol || !symbol || symbol.toLowerCase().includes(filter.symbol));

// --- how values are shown ---------------------------------------------------------

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const six = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 6 });
const cents = new Intl.NumberFormat("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });

function share(part) {
  if (part === 0 || part === 1) return `${part * 100} %`;
  const percent = part * 100;
  if (percent < 0.01) return "< 0.01 %";
  // What is not all of it must not be rounded to all of it.
  return percent > 99.99 && percent < 100 ? "> 99.99 %" : `${cents.format(percent)} %`;
}

function change(part) {
  const sign = part > 0 ? "+" : part < 0 ? "−" : "";
  return `${sign}${cents.format(Math.abs(part) * 100)} %`;
}

function span(seconds) {
  const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  const first = units.findIndex(([, length]) => seconds >= length);
  if (first < 0) return "0 s";
  let rest = seconds;
  return units
    .slice(first, first + 2)
    .map(([name, length]) => {
      const number = Math.floor(rest / length);
      rest -= number * length;
      return number ? `${whole.format(number)} ${name}` : "";
    })
    .filter(Boolean)
    .join(" ");
}

function bytes(size) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const place = size < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(size) / 3));
  const number = size / 1000 ** place;
  return `${number < 10 && place ? number.toFixed(1) : whole.format(number)} ${units[place]}`;
}

function number(value) {
  const size = Math.abs(value);
  const text = size !== 0 && (size < 1e-4 || size >= 1e12) ? size.toExponential(2) : six.format(size);
  return value < 0 ? `−${text}` : text;
}

const numeric = { count: (v) => whole.format(v), number, share, change, span, bytes };

function escaped(text) {
  const element = document.createElement("span");
  element.textContent = text;
  return element.innerHTML;
}

// --- tables -----------------------------------------------------------------------

function describe(column) {
  const show = numeric[column.kind];
  return {
    title: column.title,
    className: show ? "right" : column.kind,
    type: show ? "num" : "string",
    render: (value, purpose) => {
      if (purpose === "display") {
        if (value === null) return "–";
        return show ? show(value) : escaped(value);
      }
      return value === null ? (show ? -Infinity : "") : value;
    },
  };
}

function drawTable(element, DataTable) {
  const { columns, rows } = page.tables[element.dataset.table];
  const isLong = rows.length > 20;
  const table = new DataTable(element, {
    data: rows,
    columns: columns.map(describe),
    order: [],
    autoWidth: false,
    pageLength: isLong ? 10 : 20,
    layout: {
      topStart: null,
      topEnd: isLong ? { search: { placeholder: "in this table" } } : null,
      bottomStart: isLong ? "info" : null,
      bottomEnd: isLong ? "paging" : null,
    },
    language: {
      search: "Search",
      info: "_START_–_END_ of _TOTAL_",
      infoEmpty: "none",
      infoFiltered: "(of _MAX_)",
      zeroRecords: "No rows match the filter of market and symbol.",
      thousands: ",",
    },
  });
  // The table alone scrolls sideways, not what turns its pages.
  const box = element.closest(".scroll");
  const container = box.querySelector(".dt-container");
  box.replaceWith(container);
  const tableRow = element.closest(".dt-layout-cell");
  tableRow.prepend(box);
  box.append(element);
  const of = (kind) => columns.findIndex((column) => column.kind === kind);
  const [market, symbol] = [of("market"), of("symbol")];
  listeners.push(() => {
    if (market >= 0) {
      table.column(market).search.fixed("page", (value) => !filter.market || value === filter.market);
    }
    if (symbol >= 0) {
      table.column(symbol).search.fixed("page", (value) => value.toLowerCase().includes(filter.symbol));
    }
    table.draw();
  });
}

async function loadTables() {
  const code = JSON.parse(document.getElementById("tables-code").textContent);
  const address = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
  const { default: DataTable } = await import(address);
  URL.revokeObjectURL(address);
  return DataTable;
}

// --- figures ----------------------------------------------------------------------

const dark = matchMedia("(prefers-color-scheme: dark)");
const isNarrow = () => innerWidth <= 640;
// A finger that scrolls the page must not zoom the figure under it.
const dragmode = matchMedia("(pointer: coarse)").matches ? false : "zoom";
const config = {
  responsive: true,
  displaylogo: false,
  modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d", "toImage"],
};

function themed(layout) {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const axes = Object.keys(layout).filter((key) => /^[xy]axis\d*$/.test(key));
  const result = {
    ...layout,
    dragmode,
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: colour("--faint") },
    hoverlabel: { bgcolor: colour("--card"), bordercolor: colour("--line"), font: { color: colour("--ink") } },
    legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0, ...layout.legend },
    margin: { l: isNarrow() ? 44 : 58, r: 8, t: 8, b: 30, ...layout.margin },
  };
  for (const key of axes) {
    result[key] = {
      gridcolor: colour("--grid"), linecolor: colour("--line"), zerolinecolor: colour("--line"),
      ...layout[key], automargin: key[0] === "y",
    };
  }
  return result;
}

// Stacks count: between whole numbers there is nothing to be marked.
function withWholeTicks(traces, layout) {
  if (layout.barmode !== "stack") return layout;
  const heights = new Map();
  for (const { x, y } of traces) x.forEach((at, i) => heights.set(at, (heights.get(at) ?? 0) + y[i]));
  const isLow = Math.max(0, ...heights.values()) < 8;
  return isLow ? { ...layout, yaxis: { ...layout.yaxis, dtick: 1 } } : layout;
}

function drawFigure(element) {
  const plot = element.querySelector(".plot");
  const { data, layout } = page.figures[element.dataset.figure];
  const draw = () => {
    element.hidden = !matches(element.dataset.market, element.dataset.symbol);
    if (element.hidden) return;
    const named = new Set();
    const shown = data.filter((trace) => matches(trace.meta?.market)).map((trace) => {
      const isNew = !named.has(trace.legendgroup);
      if (trace.legendgroup) named.add(trace.legendgroup);
      return trace.legendgroup ? { ...trace, showlegend: isNew } : trace;
    });
    Plotly.react(plot, shown, themed(withWholeTicks(shown, layout)), config);
  };
  listeners.push(draw);
  return draw;
}

// --- the heat map -----------------------------------------------------------------

const ROW = 18;
const HEAD = 34;
const CONDITIONS = ["available", "degraded", "missing", "pending"];

class Heatmap {
  constructor(element, { series, levels }) {
    this.all = series;
    this.levels = levels;
    this.window = element.querySelector(".window");
    this.plot = element.querySelector(".plot");
    this.height = element.querySelector(".height");
    this.choice = element.querySelector(".series");
    this.order = element.querySelector(".order");
    this.count = element.querySelector(".count");
    for (const control of [this.choice, this.order]) {
      control.addEventListener("change", () => this.update());
    }
    let isAsked = false;
    this.window.addEventListener("scroll", () => {
      if (isAsked) return;
      isAsked = true;
      requestAnimationFrame(() => { isAsked = false; this.draw(); });
    });
    addEventListener("resize", () => this.draw());
  }

  offer() {
    const before = this.choice.value;
    const offered = this.all.map((one, place) => [one, place]).filter(([one]) => matches(one.market));
    this.choice.replaceChildren(
      ...offered.map(([one, place]) => new Option(`${one.market} ${one.series}`, place)),
    );
    const most = Math.max(...offered.map(([one]) => one.symbols.length));
    const kept = offered.find(([, place]) => String(place) === before);
    const chosen = kept ?? offered.find(([one]) => one.symbols.length === most);
    if (chosen) this.choice.value = chosen[1];
  }

  update() {
    this.offer();
    this.series = this.all[this.choice.value];
    const places = (this.series?.symbols ?? [])
      .map((symbol, place) => [symbol, place])
      .filter(([symbol]) => matches("", symbol));
    if (this.order.value === "name") places.sort(([a], [b]) => (a < b ? -1 : 1));
    this.places = places.map(([, place]) => place);
    const wholeHeight = this.places.length * ROW + HEAD;
    this.window.style.height = `${Math.min(wholeHeight + 2, 560)}px`;
    this.window.scrollTop = 0;
    const total = this.series?.symbols.length ?? 0;
    this.count.textContent = `${whole.format(this.places.length)} of ${whole.format(total)} symbols`;
    this.draw();
  }

  cell(kind, place, month) {
    const digit = this.series[kind][place][month];
    return digit === undefined || digit === " " ? null : parseInt(digit, 32);
  }

  words(place, month) {
    const counts = CONDITIONS.map((kind) => [kind, this.cell(kind, place, month)])
      .filter(([, days]) => days)
      .map(([kind, days]) => `${days} ${kind}`);
    const { symbols, months } = this.series;
    return `<b>${escaped(symbols[place])}</b> ${months[month]}<br>${counts.join(", ") || "not listed"}`;
  }

  draw() {
    if (!this.series) { Plotly.purge(this.plot); return; }
    const seen = Math.floor((this.window.clientHeight - HEAD) / ROW);
    const first = Math.min(Math.round(this.window.scrollTop / ROW), Math.max(0, this.places.length - seen));
    const places = this.places.slice(first, first + seen);
    const { months, symbols } = this.series;
    const names = places.map((place) => symbols[place]);
    this.plot.style.height = `${places.length * ROW + HEAD}px`;
    this.height.style.height = `${(this.places.length - places.length) * ROW}px`;
    const columns = months.map((_, month) => month);
    const left = Math.min(isNarrow() ? 92 : 150, 18 + 8 * Math.max(4, ...names.map((name) => name.length)));
    const width = (this.plot.clientWidth - left) / months.length;
    // Labels at round months, as many as there is room for; years alone if few.
    const every = [1, 2, 3, 6, 12, 24].find((step) => step * width >= 58) ?? 48;
    const hasRoom = (month) => (months.length - month - 0.5) * width > (every < 12 ? 24 : 14);
    const ticks = columns.filter((month) => {
      const [year, number] = months[month].split("-").map(Number);
      return (year * 12 + number - 1) % every === 0 && hasRoom(month);
    });
    const label = (month) => (every < 12 ? months[month] : months[month].slice(0, 4));
    const gap = width > 6 ? 1 : 0;
    const steps = this.levels.length;
    const trace = {
      type: "heatmap",
      x: columns,
      y: places.map((_, row) => row),
      z: places.map((place) => columns.map((month) => this.cell("level", place, month))),
      text: places.map((place) => columns.map((month) => this.words(place, month))),
      hovertemplate: "%{text}<extra></extra>",
      zmin: -0.5,
      zmax: steps - 0.5,
      colorscale: this.levels.flatMap(({ colour }, place) => [[place / steps, colour], [(place + 1) / steps, colour]]),
      showscale: false,
      xgap: gap,
      ygap: 2,
    };
    const longest = Math.floor((left - 14) / 7.2);
    const layout = themed({
      xaxis: {
        side: "top", showgrid: false, zeroline: false, fixedrange: true,
        tickangle: 0, tickvals: ticks, ticktext: ticks.map(label),
      },
      yaxis: {
        autorange: "reversed", showgrid: false, zeroline: false, fixedrange: true,
        tickvals: places.map((_, row) => row),
        ticktext: names.map((name) => escaped(name.length > longest ? `${name.slice(0, longest - 1)}…` : name)),
      },
      margin: { l: left, r: 4, t: HEAD - 6, b: 4 },
    });
    layout.yaxis.automargin = false;
    Plotly.react(this.plot, [trace], layout, { ...config, displayModeBar: false });
  }
}

// --- the filter, and the beginning --------------------------------------------------

function apply() {
  filter.market = document.getElementById("market").value;
  filter.symbol = document.getElementById("symbol").value.trim().toLowerCase();
  const found = page.symbols.filter(([market, symbol]) => matches(market, symbol)).length;
  document.getElementById("matches").textContent =
    `${whole.format(found)} of ${whole.format(page.symbols.length)} symbols`;
  for (const listener of listeners) listener();
}

async function begin() {
  document.documentElement.classList.toggle("dark", dark.matches);
  const DataTable = await loadTables();
  for (const element of document.querySelectorAll("[data-table]")) drawTable(element, DataTable);
  for (const element of document.querySelectorAll("[data-figure]")) drawFigure(element);
  for (const element of document.querySelectorAll("[data-heatmap]")) {
    const map = new Heatmap(element, page.heatmaps[element.dataset.heatmap]);
    listeners.push(() => map.update());
  }
  let waiting;
  document.getElementById("symbol").addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(apply, 120);
  });
  document.getElementById("market").addEventListener("change", apply);
  dark.addEventListener("change", () => {
    document.documentElement.classList.toggle("dark", dark.matches);
    apply();
  });
  apply();
  document.documentElement.dataset.ready = "yes";
}

begin();
