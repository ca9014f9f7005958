// The menu behind the status-bar item: what can be done in the present state, and nothing else. Knows nothing of how
// it is done.
import * as vscode from "vscode";
import { describe } from "./describe";
import type { Here } from "./here";
import type { Session } from "./session";
import * as settings from "./settings";

interface Entry extends vscode.QuickPickItem {
  /** The end of the command's id. */
  run?: string;
}

export async function openMenu(session: Session, here: Here): Promise<void> {
  const shown = describe(session.phase, session.status, here.reason);
  const picked = await vscode.window.showQuickPick(entries(session, here), {
    title: `Tailora${shown.text ? `: ${shown.text}` : ""}`,
    placeHolder: shown.message || "What to do?",
    matchOnDescription: true,
  });
  if (picked?.run) await vscode.commands.executeCommand(`tailora.menu.${picked.run}`);
}

function entries(session: Session, here: Here): Entry[] {
  const groups = [
    group("Language server", server(session)),
    group("Suggestions", suggestions(session, here)),
    group("Learning", learning(session)),
    group("Help", help(session)),
  ];
  return groups.flat();
}

function group(label: string, items: Entry[]): Entry[] {
  return items.length > 0 ? [{ label, kind: vscode.QuickPickItemKind.Separator }, ...items] : [];
}

function server({ phase, running, status }: Session): Entry[] {
  const items: Entry[] = [];
  if (phase.kind === "notInstalled" || (phase.kind === "failed" && !running)) {
    items.push({ label: "$(cloud-download) Install the language server", run: "installServer" });
    items.push({ label: "$(folder-opened) Use an installed one...", run: "useInstalled" });
  }
  if (status?.state === "model_missing") {
    items.push({ label: "$(cloud-download) Get the model", description: status.model?.name ?? "", run: "pullModel" });
  }
  if (phase.kind === "failed" || phase.kind === "stopped" || phase.kind === "restarting") {
    items.push({ label: "$(debug-restart) Start the language server", run: "restartServer" });
  }
  return items;
}

function suggestions({ running }: Session, here: Here): Entry[] {
  if (!running) return [];
  const items: Entry[] = [];
  const { document } = here;
  const everywhere = settings.everywhereIsOff();
  const isFile = document?.uri.scheme === "file" || document?.uri.scheme === "untitled";
  if (document && isFile && !everywhere) {
    const off = settings.languageIsOff(document.languageId);
    items.push({ label: `${off ? "$(circle-large-outline) Turn on" : "$(circle-slash) Turn off"} for this language`, description: document.languageId, run: "toggleLanguage" });
  }
  const folder = (document && vscode.workspace.getWorkspaceFolder(document.uri)) ?? vscode.workspace.workspaceFolders?.[0];
  if (folder && !everywhere) {
    const off = settings.folderIsOff(folder);
    items.push({ label: `${off ? "$(circle-large-outline) Turn on" : "$(circle-slash) Turn off"} in this folder`, description: folder.name, run: "toggleFolder" });
  }
  items.push({ label: everywhere ? "$(circle-large-outline) Turn on everywhere" : "$(circle-slash) Turn off everywhere", run: "toggleEverywhere" });
  return items;
}

function learning({ running, status }: Session): Entry[] {
  const project = status?.project;
  if (!running || !project) return [];
  const show: Entry = { label: "$(graph) Show what was learned", run: "showLearned" };
  if (!vscode.workspace.isTrusted) {
    return [{ ...show, description: "this folder is not trusted, so nothing new is learned" }, ...undo(project)];
  }
  const items: Entry[] = [show];
  const busy = project.state === "training" || project.state === "gating";
  if (project.state === "off") items[0] = { ...show, description: "learning is turned off by a setting" };
  else {
    if (!busy) items.push({ label: "$(mortar-board) Train now", run: "trainNow" });
    if (project.state === "paused") items.push({ label: "$(debug-start) Resume learning", run: "resumeLearning" });
    else items.push({ label: "$(debug-pause) Pause learning", run: "pauseLearning" });
  }
  return [...items, ...undo(project)];
}

function undo(project: { serving?: string | null; disabled?: boolean }): Entry[] {
  if (project.disabled) return [{ label: "$(debug-start) Turn on what was learned", run: "enableAdapter" }];
  if (!project.serving) return [];
  return [
    { label: "$(discard) Roll back to the version before", description: `version ${project.serving} serves`, run: "rollBack" },
    { label: "$(debug-disconnect) Turn off what was learned", run: "disableAdapter" },
  ];
}

function help({ running }: Session): Entry[] {
  const items: Entry[] = [];
  if (running) {
    items.push({ label: "$(pulse) Doctor: look for what is wrong", run: "doctor" });
    items.push({ label: "$(debug-restart) Restart the engine", description: "reads the model anew", run: "restartEngine" });
    items.push({ label: "$(debug-restart) Restart the language server", run: "restartServer" });
    items.push({ label: "$(output) Show the engine's log", run: "engineLog" });
  }
  items.push({ label: "$(output) Show log", run: "showLog" });
  items.push({ label: "$(gear) Settings", run: "openSettings" });
  items.push({ label: "$(book) Get started", run: "walkthrough" });
  return items;
}
