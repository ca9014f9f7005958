// "Repair this failing test": from the Test Explorer, a code lens or the palette to the server's command. Says what is
// missing where tests may not run. Knows nothing of how a repair is found.
import * as vscode from "vscode";
import { fromItem, fromLine } from "./node_id";
import type { Answer } from "./protocol";
import type { Session } from "./session";
import * as settings from "./settings";
import { manageTrust } from "./trust";

export const REPAIR = "tailora.repairTest";

/** What the Test Explorer hands to a command: a test, or a message with its test. */
type Chosen = vscode.TestItem | { test?: vscode.TestItem } | undefined;

export function register(session: Session): vscode.Disposable {
  return vscode.commands.registerCommand("tailora.menu.repairTest", async (chosen: Chosen) => {
    const test = chosen && "test" in chosen ? chosen.test : (chosen as vscode.TestItem | undefined);
    const found = test ? ofItem(test) : ofCursor();
    if (!found) {
      void vscode.window.showInformationMessage("Tailora repairs pytest's tests. Choose a single failing test, or put the cursor into one.");
      return;
    }
    await repair(session, found.uri, found.node);
  });
}

/** Repairs a test, with progress that can be cancelled. */
export async function repair(session: Session, uri: string, node: string): Promise<void> {
  if (!vscode.workspace.isTrusted) return manageTrust("To repair a test, it has to be run; that is done only in folders that you trust.");
  if (!settings.testsMayRun() && !(await askToRunTests())) return;
  if (!session.offers(REPAIR)) {
    void vscode.window.showWarningMessage("Tailora's language server does not run.");
    return;
  }
  const title = `Tailora: repairing ${node.split("::").at(-1)}`;
  const options = { location: vscode.ProgressLocation.Notification, title, cancellable: true };
  const answer = await vscode.window.withProgress(options, (_progress, token) => session.call<Answer>(REPAIR, [uri, node], token));
  if (answer?.ok && answer.message) void vscode.window.showInformationMessage(`Tailora: ${answer.message}`);
}

async function askToRunTests(): Promise<boolean> {
  const allow = "Allow";
  const detail =
    "The test, and others that the change may touch, run in a copy of the folder: with limits, and without network where the system allows that. Your files are changed only by the edit that holds. This sets tailora.repair.runTests in your own settings.";
  const chosen = await vscode.window.showInformationMessage("May Tailora run tests in order to repair them?", { modal: true, detail }, allow);
  if (chosen !== allow) return false;
  await settings.letTestsRun();
  await new Promise((resolve) => setTimeout(resolve, 300)); // the server reads the setting first
  return true;
}

function ofItem(test: vscode.TestItem): { uri: string; node: string } | null {
  const relative = test.uri && relativePath(test.uri);
  if (!test.uri || !relative) return null;
  const parents: string[] = [];
  for (let item = test.parent; item?.uri?.toString() === test.uri.toString() && item.parent; item = item.parent) {
    if (/^[A-Za-z_]\w*$/.test(item.label)) parents.unshift(item.label);
  }
  const node = fromItem(relative, test.id, test.label, parents);
  return node ? { uri: test.uri.toString(), node } : null;
}

function ofCursor(): { uri: string; node: string } | null {
  const editor = vscode.window.activeTextEditor;
  const relative = editor && relativePath(editor.document.uri);
  if (!editor || !relative) return null;
  const lines = editor.document.getText().split(/\r?\n/);
  const node = fromLine(relative, lines, editor.selection.active.line);
  return node ? { uri: editor.document.uri.toString(), node } : null;
}

function relativePath(uri: vscode.Uri): string | null {
  const folder = vscode.workspace.getWorkspaceFolder(uri);
  if (uri.scheme !== "file" || !folder || !uri.path.endsWith(".py")) return null;
  return uri.path.slice(folder.uri.path.replace(/\/$/, "").length + 1);
}
