"use strict";
// Tables sort by a click or a key on a column's name; a second one turns the order. Cells without a value stay last.
// On paper everything is open.
document.documentElement.classList.add("scripted");

const valueAt = (row, index) => {
  let at = 0;
  for (const cell of row.cells) {
    if (at === index) return cell.colSpan === 1 ? cell.dataset.value : undefined;
    at += cell.colSpan;
  }
  return undefined;
};

const compare = (a, b, numbers) => (numbers ? Number(a) - Number(b) : a.localeCompare(b));

const sortBy = (table, head, index) => {
  const body = table.tBodies[0];
  const down = head.getAttribute("aria-sort") === "ascending";
  const numbers = head.classList.contains("number");
  const rows = [...body.rows].map((row) => [valueAt(row, index), row]);
  rows.sort(([a], [b]) => {
    if (a === undefined || b === undefined) return (a === undefined) - (b === undefined);
    return down ? compare(b, a, numbers) : compare(a, b, numbers);
  });
  for (const other of table.tHead.rows[0].cells) other.setAttribute("aria-sort", "none");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  body.append(...rows.map(([, row]) => row));
};

for (const table of document.querySelectorAll("table.sortable")) {
  [...table.tHead.rows[0].cells].forEach((head, index) => {
    head.querySelector("button").addEventListener("click", () => sortBy(table, head, index));
  });
}

let closed = [];
addEventListener("beforeprint", () => {
  closed = [...document.querySelectorAll("details:not([open])")];
  for (const one of closed) one.open = true;
});
addEventListener("afterprint", () => {
  for (const one of closed) one.open = false;
});
