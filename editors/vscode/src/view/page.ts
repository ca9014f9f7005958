// The side bar's page: shows the state that the extension sends, and tells it which button was pressed. Runs in the
// webview, without network and without VS Code's API. Knows nothing of how the figures were made.
import type { AdaptersAnswer, LearnedAnswer, Version } from "../protocol";
import { accepted, age, decimal, gains, percentOf } from "../words";
import { acceptanceChart, daysChart, lossChart, type Share } from "./charts";
import { h, replace } from "./dom";
import type { FromPage, ToPage, ViewState } from "./messages";

declare function acquireVsCodeApi(): { postMessage(message: FromPage): void };

const vscode = acquireVsCodeApi();
const opened = new Set<string>();
let state: ViewState | null = null;

const BADGES: Record<string, string> = {
  serving: "serves",
  retired: "earlier",
  rejected: "rejected",
  candidate: "being checked",
  corrupt: "damaged",
};
const REASONS: Record<string, string> = {
  secret: "a secret was found in them, or their name says so",
  "secret scan failed": "they could not be looked through for secrets",
  "language unknown": "in no language that is learned",
  "forgotten by the user": "you had them forgotten",
  ignored: "git or .tailoraignore ignores them",
  vendored: "made by others, or built",
  "hidden folder": "in hidden folders",
  "nested repository": "repositories of their own",
  binary: "not text",
  symlink: "links to other files",
  unreadable: "they cannot be read",
};
const MOST_NAMES = 200;

function button(key: string, label: string, message: FromPage, options: { primary?: boolean; title?: string } = {}): HTMLElement {
  return h("button", { "data-key": key, id: `button-${key}`, class: options.primary ? "primary" : "", title: options.title, type: "button", click: () => vscode.postMessage(message) }, label);
}

function part(id: string): HTMLElement {
  return document.getElementById(id) as HTMLElement;
}

function show(): void {
  if (!state) return;
  const { adapters } = state;
  const versions = adapters?.versions ?? [];
  replace(part("now"), now(state, versions));
  replace(part("actions"), actions(state));
  replace(part("charts"), charts(adapters));
  replace(part("versions"), list(versions, state));
  replace(part("learned"), learned(state));
}

function now(current: ViewState, versions: Version[]): (Node | null)[] {
  const { learning, folder, away } = current;
  if (away !== null) return [h("h2", {}, "Not running"), h("p", {}, away || "The language server does not run."), h("p", {}, button("menu", "What can I do?", { type: "command", name: "open" }))];
  if (!folder) return [h("h2", {}, "No folder is open"), h("p", {}, "Suggestions work in single files, too. To have your code learned, open its folder.")];
  const serving = versions.find((version) => version.version === learning?.serving);
  const busy = learning?.state === "training" || learning?.state === "gating";
  const name = learning?.disabled ? "What was learned is turned off" : learning?.serving ? `Version ${learning.serving} serves` : "Nothing learned yet";
  const gained = serving && !learning?.disabled ? gains(serving) : "";
  return [
    h("h2", { id: "serving" }, name),
    h("p", { class: "dim" }, `in ${folder}`),
    gained ? h("p", { id: "gains" }, `It gained: ${gained}.`) : null,
    learning?.withdrawn ? h("p", { class: "notice" }, learning.withdrawn) : null,
    !current.trusted
      ? h("div", { id: "untrusted", class: "notice" }, h("p", {}, "This folder is not trusted. Suggestions are made here, but nothing is learned and no tests are run."), button("trust", "Manage trust", { type: "command", name: "manageTrust" }))
      : h("p", { id: "learning" }, why(current, versions)),
    busy && typeof learning?.progress === "number"
      ? h("progress", { id: "progress", max: 1, value: learning.progress, "aria-label": `Learning, ${percentOf(learning.progress)}` })
      : null,
  ];
}

/** What learning is doing, or why it does nothing. */
function why({ learning, adapters }: ViewState, versions: Version[]): string {
  if (!learning) return "Waiting for the engine.";
  // The heading says that already.
  const said = /^nothing learned yet\.?$/i.test(learning.message.trim()) ? "" : sentence(learning.message);
  switch (learning.state) {
    case "off":
      return said || "Learning is turned off by a setting (learning.enabled).";
    case "paused":
      return said || "Learning is paused.";
    case "training":
    case "gating":
      return said || "Learning.";
    case "waiting":
      return said || "Something has changed; it is learned when you pause.";
    default:
      if (adapters?.retrain) return `${said} All is learned anew next time: ${adapters.retrain}.`;
      return said || (versions.length > 0 ? "Nothing new to learn." : "It learns in the background when enough is there and you pause.");
  }
}

function sentence(text: string): string {
  const trimmed = text.trim();
  if (!trimmed) return "";
  return trimmed[0]?.toUpperCase() + trimmed.slice(1) + (/[.!?]$/.test(trimmed) ? "" : ".");
}

function actions({ learning, away, trusted, folder }: ViewState): Node[] {
  if (away !== null || !learning || !folder) return [];
  const shown: Node[] = [];
  const busy = learning.state === "training" || learning.state === "gating";
  if (trusted && learning.state !== "off") {
    if (!busy) shown.push(button("train", "Train now", { type: "command", name: "trainNow" }, { primary: true }));
    if (learning.state === "paused") shown.push(button("resume", "Resume", { type: "command", name: "resumeLearning" }, { title: "Resume learning" }));
    else shown.push(button("pause", "Pause", { type: "command", name: "pauseLearning" }, { title: "Pause learning" }));
  }
  if (learning.disabled) shown.push(button("enable", "Turn on", { type: "command", name: "enableAdapter" }, { title: "Use what was learned again" }));
  else if (learning.serving) {
    shown.push(button("rollback", "Roll back", { type: "command", name: "rollBack" }, { title: "Go back to the version before" }));
    shown.push(button("disable", "Turn off", { type: "command", name: "disableAdapter" }, { title: "Do not use what was learned" }));
  }
  return shown;
}

function charts(adapters: AdaptersAnswer | null): Node[] {
  if (!adapters) return [];
  const width = Math.max(150, Math.floor(part("charts").clientWidth || document.body.clientWidth - 24));
  const shown: Node[] = [];
  const measured = (adapters.versions ?? []).flatMap((version) =>
    typeof version.base_nll === "number" && typeof version.candidate_nll === "number"
      ? [{ version: version.version, before: version.base_nll, after: version.candidate_nll, used: version.status !== "rejected" && version.status !== "corrupt" }]
      : [],
  );
  if (measured.length >= 2) shown.push(lossChart(measured, width));
  const shares: Share[] = [{ name: "as shipped", shown: adapters.foundation?.shown ?? 0, accepted: adapters.foundation?.accepted ?? 0 }];
  for (const version of adapters.versions ?? []) shares.push({ name: `version ${version.version}`, shown: version.shown ?? 0, accepted: version.accepted ?? 0 });
  const used = shares.filter((share) => share.shown > 0).slice(-8);
  if (used.length >= 2) shown.push(acceptanceChart(used));
  const days = byDay(adapters);
  if (days.length >= 2) shown.push(daysChart(days, width));
  if (shown.length > 0) return [h("h2", {}, "Figures"), ...shown];
  const [only] = used;
  if (only) return [h("p", { class: "dim" }, `So far, ${accepted(only)} (${only.name}). Charts appear when there are two versions or days to compare.`)];
  return [];
}

function byDay({ days = [] }: AdaptersAnswer): Share[] {
  const sums = new Map<string, Share>();
  for (const { day, shown, accepted: taken } of days) {
    const sum = sums.get(day) ?? { name: day, shown: 0, accepted: 0 };
    sums.set(day, { name: day, shown: sum.shown + shown, accepted: sum.accepted + taken });
  }
  return [...sums.values()].filter((day) => day.shown > 0).sort((one, other) => (one.name < other.name ? -1 : 1));
}

function list(versions: Version[], { away, adapters, folder }: ViewState): Node[] {
  if (away !== null || !folder) return [];
  const heading = h("h2", {}, "Versions");
  if (!adapters) return [heading, h("p", { class: "dim" }, "Not known yet.")];
  if (versions.length === 0) return [heading, h("p", { id: "no-versions", class: "dim" }, "There is none yet. Each time something was learned, a version appears here, with the checks that it passed or failed.")];
  return [heading, h("ul", { class: "plain", id: "version-list" }, ...[...versions].reverse().map(entry))];
}

function entry(version: Version): HTMLElement {
  const { status } = version;
  const name = version.version;
  const details = h("details", { "data-version": name, open: opened.has(name), toggle: (event) => remember(name, event.target as HTMLDetailsElement) });
  const reason = version.withdrawn ?? (status === "rejected" || status === "corrupt" ? version.reason : null);
  details.append(
    h(
      "summary",
      { "data-key": `version-${name}` },
      h("span", { class: "name" }, `Version ${name}`),
      h("span", { class: `badge ${BADGES[status] ? status : ""}` }, BADGES[status] ?? status),
      h("span", { class: "dim age" }, age(version.created)),
      gains(version) ? h("span", { class: "line" }, gains(version)) : null,
      accepted(version) ? h("span", { class: "line" }, accepted(version)) : null,
      reason ? h("span", { class: "line reason" }, sentence(reason)) : null,
    ),
    facts(version),
    checks(version),
  );
  const buttons: Node[] = [];
  if (status === "retired" || status === "candidate" || status === "rejected") {
    const title = status === "rejected" ? "Use it although it failed a check" : `Use version ${name} from the next keystroke`;
    buttons.push(button(`use-${name}`, "Use", { type: "use", version: name }, { title }));
  }
  buttons.push(button(`delete-${name}`, "Delete...", { type: "delete", version: name }, { title: `Delete version ${name}` }));
  details.append(h("div", { class: "buttons" }, ...buttons));
  return h("li", { class: status }, details);
}

function remember(name: string, details: HTMLDetailsElement): void {
  if (details.open) opened.add(name);
  else opened.delete(name);
}

function facts(version: Version): HTMLElement {
  const parts: string[] = [];
  if (version.examples) parts.push(`${version.examples} examples${version.files ? ` of ${version.files} files` : ""}`);
  if (version.parent) parts.push(`built on version ${version.parent}`);
  if (version.seconds) parts.push(`trained for ${version.seconds < 90 ? `${Math.round(version.seconds)} s` : `${Math.round(version.seconds / 60)} min`}`);
  if (typeof version.kept_180 === "number") parts.push(`${percentOf(version.kept_180)} of what was accepted still stood after 3 minutes`);
  return h("p", { class: "dim facts" }, parts.length > 0 ? `${parts.join("; ")}.` : "");
}

function checks({ checks: made = [] }: Version): HTMLElement {
  if (made.length === 0) return h("p", { class: "dim" }, "It has not been checked.");
  const rows = made.map((check) => {
    const words = check.message ?? `${check.name ?? "check"}${typeof check.value === "number" ? `: ${decimal(check.value)}` : ""}`;
    const passed = check.passed ? "passed" : "failed";
    return h("li", { class: passed, title: check.name }, h("span", { class: "mark", role: "img", "aria-label": passed }, check.passed ? "✓" : "✗"), h("span", {}, words));
  });
  return h("ul", { class: "plain checks", "aria-label": "Checks" }, ...rows);
}

function learned({ learned: known, away, folder }: ViewState): Node[] {
  if (away !== null || !folder) return [];
  const heading = h("h2", {}, "What it learns from");
  if (known === null) {
    return [heading, h("p", { class: "dim" }, "Which files are learned, and which are left out and why. Looking takes a few seconds; nothing is trained."), h("div", { class: "buttons" }, button("learned", "Look", { type: "learned" }))];
  }
  if (known === "asking") return [heading, h("p", { id: "asking", role: "status" }, "Looking through the files...")];
  const again = h("div", { class: "buttons" }, button("learned", "Look again", { type: "learned" }));
  if (!known.ok) return [heading, h("p", { class: "notice" }, known.message ?? "It could not be found out."), again];
  return [heading, ...files(known), again];
}

function files(answer: LearnedAnswer): Node[] {
  const { learned: names = [], left_out: out = [], counts = {}, history } = answer;
  const shown: Node[] = [folded("learned-files", `${names.length} files are learned`, names)];
  const groups = new Map<string, string[]>();
  for (const { path, reason, detail, count } of out) {
    const name = path ? `${path}${detail ? ` (${detail})` : ""}` : `and ${count ?? 0} more`;
    groups.set(reason, [...(groups.get(reason) ?? []), name]);
  }
  const reasons = [...new Set([...Object.keys(counts), ...groups.keys()])];
  const number = (reason: string): number => counts[reason] ?? groups.get(reason)?.length ?? 0;
  reasons.sort((one, other) => number(other) - number(one));
  for (const reason of reasons) {
    shown.push(folded(`left-${reason}`, `${number(reason)} left out: ${REASONS[reason] ?? reason.replaceAll("_", " ")}`, groups.get(reason) ?? [], reason));
  }
  if (history) {
    const words = history.reason ? `The history is not used: ${history.reason}` : `${history.commits ?? 0} commits and ${history.recent_lines ?? 0} recently changed lines of the history are looked at, too.`;
    shown.push(h("p", { class: "dim" }, sentence(words)));
  }
  return shown;
}

function folded(key: string, title: string, names: string[], reason?: string): HTMLElement {
  const details = h("details", { class: "files", open: opened.has(key), toggle: (event) => remember(key, event.target as HTMLDetailsElement) }, h("summary", { "data-key": key }, title));
  const rows = names.slice(0, MOST_NAMES).map((name) => {
    const open = reason === undefined ? h("a", { href: "#", click: (event) => openFile(event, name) }, name) : name;
    return h("li", {}, open);
  });
  if (names.length > MOST_NAMES) rows.push(h("li", { class: "dim" }, `and ${names.length - MOST_NAMES} more`));
  details.append(h("ul", { class: "plain names" }, ...rows));
  return details;
}

function openFile(event: Event, path: string): void {
  event.preventDefault();
  vscode.postMessage({ type: "openFile", path });
}

window.addEventListener("message", (event: MessageEvent<ToPage>) => {
  if (event.data?.type !== "state") return;
  state = event.data.state;
  show();
});

let width = 0;
new ResizeObserver(() => {
  const wide = part("tailora").clientWidth;
  if (wide !== width) show();
  width = wide;
}).observe(part("tailora"));

setInterval(show, 60_000); // the ages
vscode.postMessage({ type: "ready" });
