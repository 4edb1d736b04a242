// The page without this script is whole; with it, it can be asked.
const data = JSON.parse(document.getElementById("data").textContent);
const runs = new Map(data.runs.map((run) => [run.id, run]));
const root = document.documentElement;

// An element with properties and children; texts are never read as markup.
function made(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

// --- light and dark ---

function kept(key, value) {
  try {
    if (value === undefined) return localStorage.getItem(key);
    localStorage.setItem(key, value);
  } catch { /* a page from a file may keep nothing */ }
  return null;
}

function theme(dark) {
  root.dataset.theme = dark ? "dark" : "light";
  root.classList.toggle("dark", dark); // DataTables'
  document.getElementById("theme").textContent = dark ? "Light" : "Dark";
}
const prefers = matchMedia("(prefers-color-scheme: dark)");
theme((kept("theme") ?? (prefers.matches ? "dark" : "light")) === "dark");
document.getElementById("theme").addEventListener("click", () => {
  theme(root.dataset.theme !== "dark");
  kept("theme", root.dataset.theme);
});

// --- methods that are switched off ---

const off = new Set();
const rules = made("style");
document.head.append(rules);
const tables = [];  // of DataTables, with methods in their first column

function hide() {
  const names = [...off].map((name) => `[data-method="${CSS.escape(name)}"]`);
  rules.textContent = names.length ? `${names.join(",")} { display: none; }` : "";
  for (const table of tables) table.search.fixed("methods", (_, row) => !off.has(row[0])).draw();
}

const menu = document.getElementById("methods");
if (menu) {
  const boxes = [...menu.querySelectorAll("input[type=checkbox]")];
  const update = () => {
    off.clear();
    boxes.filter((box) => !box.checked).forEach((box) => off.add(box.value));
    hide();
  };
  menu.addEventListener("change", update);
  menu.querySelectorAll("button").forEach((button) =>
    button.addEventListener("click", () => {
      boxes.filter((box) => !box.parentElement.hidden)
        .forEach((box) => { box.checked = Boolean(button.dataset.all); });
      update();
    }));
  menu.querySelector("input[type=search]")?.addEventListener("input", (event) => {
    const wanted = event.target.value.toLowerCase();
    boxes.forEach((box) => {
      box.parentElement.hidden = !box.value.toLowerCase().includes(wanted);
    });
  });
  menu.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  });
}

// --- small tables sort by a click on a column ---

function sortValue(cell) {
  const text = (cell?.firstChild?.textContent ?? "").trim();
  const number = Number(text.replace(/[,%*]/g, "").replace(/^(∞|diverged|lost)$/, "Infinity"));
  return text === "" || Number.isNaN(number) ? text : number;
}

for (const one of document.querySelectorAll("table.sortable")) {
  const body = one.tBodies[0];
  const original = [...body.rows];
  [...one.tHead.rows[0].cells].forEach((head, column) => {
    const button = made("button", { type: "button" }, ...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const next = { ascending: "descending", descending: null }[head.getAttribute("aria-sort")]
        ?? (head.hasAttribute("aria-sort") ? null : "ascending");
      one.querySelectorAll("[aria-sort]").forEach((other) => other.removeAttribute("aria-sort"));
      if (next) head.setAttribute("aria-sort", next);
      const sign = next === "descending" ? -1 : 1;
      const rows = next
        ? [...original].sort((a, b) => {
            const [x, y] = [sortValue(a.cells[column]), sortValue(b.cells[column])];
            if (typeof x !== typeof y) return typeof x === "number" ? -1 : 1;
            return sign * (typeof x === "number" ? x - y : x.localeCompare(y));
          })
        : original;
      body.append(...rows);
    });
  });
}

// --- one run, or the runs of a cell ---

const dialog = document.getElementById("run");

function curve(title, points) {
  const [w, h] = [260, 80];
  const xs = points.map((p) => p[0]);
  const ys = points.map((p) => p[1]);
  const [x0, x1, y0, y1] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const place = ([x, y]) =>
    `${(w * (x - x0)) / (x1 - x0 || 1)},${h - (h * (y - y0)) / (y1 - y0 || 1)}`;
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", `0 0 ${w} ${h}`);
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", `${title}, from ${ys[0]} to ${ys.at(-1)}`);
  const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
  line.setAttribute("points", points.map(place).join(" "));
  line.setAttribute("fill", "none");
  line.setAttribute("stroke", "currentColor");
  svg.append(line);
  const range = `${title}: ${y0} to ${y1}, updates ${x0} to ${x1}`;
  return made("div", {}, svg, made("p", { className: "soft" }, range));
}

function definition(pairs) {
  return made("dl", {}, ...pairs.flatMap(([term, value]) =>
    [made("dt", {}, term), made("dd", {}, String(value))]));
}

function command(run) {
  const quoted = (text) => `'${String(text).replaceAll("'", `'\\''`)}'`;
  const only = [["method", run.method], ["setting", run.setting], ["seed", run.seed]]
    .map(([key, value]) => `--only ${quoted(`${key}=${value}`)}`);
  return `lipbench run ${data.suite}.yaml ${only.join(" ")}`;
}

function body(run) {
  const known = [
    ["Outcome", run.outcome.replaceAll("_", " ")],
    ...(run.cause ? [["Cause", run.cause]] : []),
    ...(run.collapsed ? [["Collapsed", "yes"]] : []),
    ["Generator updates", run.updates ?? "none"],
    ...(run.seconds === null ? [] : [["Seconds", run.seconds]]),
    ...data.scores.map((title, i) => [title, run.scores[i]]).filter(([, value]) => value !== null),
  ];
  const parts = [
    made("h3", { id: "run-title" }, `${run.method}, ${run.setting}, seed ${run.seed}`),
    definition(known),
  ];
  const last = run.images.at(-1);
  if (last) {
    parts.push(made("img", { className: "pixels", src: last[1], alt: `Samples at update ${last[0]}` }));
  }
  for (const [title, points] of Object.entries(run.curves)) {
    if (points.length > 1) parts.push(curve(title, points));
  }
  parts.push(
    made("h3", {}, "What this run has of its own"),
    definition(Object.entries(run.spec)),
    made("h3", {}, "What all runs share"),
    definition(Object.entries(data.common)),
    made("h3", {}, "The same again"),
    made("pre", {}, command(run)),
    made("p", { className: "soft" }, run.id.includes("/") ? `Run: ${run.id}` : `Folder: runs/${run.id}`),
  );
  return parts;
}

function show(ids) {
  const found = ids.map((id) => runs.get(id)).filter(Boolean);
  if (!found.length) return;
  const target = document.getElementById("run-body");
  if (found.length === 1) {
    target.replaceChildren(...body(found[0]));
  } else {
    const list = found.map((run) => {
      const text = `${run.method}, ${run.setting}, seed ${run.seed}: ${run.outcome}`;
      const score = run.scores[0] === null ? "" : `, ${data.scores[0]} ${run.scores[0]}`;
      const button = made("button", { type: "button" }, text + score);
      button.addEventListener("click", () => show([run.id]));
      return made("li", {}, button);
    });
    target.replaceChildren(made("h3", { id: "run-title" }, "Runs of this entry"), made("ul", {}, ...list));
  }
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
  if (found.length === 1) history.replaceState(null, "", `#run=${encodeURIComponent(found[0].id)}`);
}

// A click opens, and so does Enter: which then must not press the dialog's own button, too.
function opens(element, open) {
  element.addEventListener("click", open);
  element.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    open();
  });
}
dialog.addEventListener("close", () => history.replaceState(null, "", " "));
dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });

for (const cell of document.querySelectorAll("[data-runs]")) {
  const open = () => show(cell.dataset.runs.split(" "));
  cell.tabIndex = 0;
  cell.setAttribute("role", "button");
  opens(cell, open);
}
const asked = decodeURIComponent(location.hash).match(/^#run=(.+)$/);
if (asked) show([asked[1]]);

// --- all scores, and all runs ---

const numeric = { className: "dt-right", defaultContent: "" };
const tabulate = (id, rows, columns, options) => {
  const render = window.DataTable.render.text();
  tables.push(new window.DataTable(id, {
    data: rows,
    columns: columns.map((column) => ({ ...column, render })),
    deferRender: true,
    pageLength: 25,
    order: [],
    layout: { topStart: "search", topEnd: { buttons: ["copy", "csv"] } },
    ...options,
  }));
};
if (window.DataTable && data.summary) {
  const [method, score, ...numbers] = data.summary.columns;
  tabulate("#all-scores", data.summary.rows, [
    { title: method }, { title: score }, ...numbers.map((title) => ({ title, ...numeric })),
  ]);
}
if (window.DataTable && data.runs.length) {
  const rows = data.runs.map((run) => [
    run.method, run.setting, run.seed, run.outcome.replaceAll("_", " "), run.updates, ...run.scores, run.cause, run.id,
  ]);
  const columns = [
    { title: "Method" }, { title: "Setting" }, { title: "Seed", ...numeric },
    { title: "Outcome" }, { title: "G updates", ...numeric },
    ...data.scores.map((title) => ({ title, ...numeric })),
    { title: "Cause", defaultContent: "" }, { title: "Run", visible: false },
  ];
  tabulate("#all-runs", rows, columns, {
    createdRow: (row, values) => {
      row.tabIndex = 0;
      opens(row, () => show([values.at(-1)]));
    },
  });
}

// --- samples by method, setting, seed and update ---

const browse = document.getElementById("browse");
if (browse) {
  const fields = ["method", "setting", "seed", "update"];
  const image = document.getElementById("sample");
  const select = (name) => browse.elements[name];
  const drawn = data.runs.filter((run) => run.images.length);
  const fill = (name, values) => {
    const before = select(name).value;
    select(name).replaceChildren(...[...new Set(values)].map((value) => made("option", { value }, String(value))));
    if ([...select(name).options].some((option) => option.value === before)) select(name).value = before;
  };
  const update = () => {
    fill("method", drawn.map((run) => run.method));
    const ofMethod = drawn.filter((run) => run.method === select("method").value);
    fill("setting", ofMethod.map((run) => run.setting));
    const ofSetting = ofMethod.filter((run) => run.setting === select("setting").value);
    fill("seed", ofSetting.map((run) => run.seed));
    const run = ofSetting.find((one) => String(one.seed) === select("seed").value);
    fill("update", (run?.images ?? []).map(([at]) => at).reverse());
    const found = run?.images.find(([at]) => String(at) === select("update").value);
    image.hidden = !found;
    document.getElementById("no-sample").hidden = Boolean(found);
    if (found) {
      image.src = found[1];
      image.alt = `Samples of ${run.method} at ${run.setting}, seed ${run.seed}, update ${found[0]}`;
    }
  };
  if (drawn.length) {
    browse.addEventListener("change", update);
    update();
  } else {
    browse.hidden = true;
    document.getElementById("no-sample").hidden = false;
    document.getElementById("no-sample").textContent = "No run has written samples yet.";
  }
}
