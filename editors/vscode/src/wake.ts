// Asks for ghost text where VS Code does not by itself: never without a change in the text, as ghost text that nobody
// typed for would be in the way.
//
// VS Code asks through a part of each editor that it makes only when the editor has been idle, up to five seconds after
// it was opened; the command below makes that part. And it does not ask again when the model has become ready.
import * as vscode from "vscode";
import type { Session } from "./session";
import * as settings from "./settings";

/** For so long after the last change somebody may still wait for ghost text. */
const WAITS_MS = 120_000;

interface Change {
  document: vscode.TextDocument;
  version: number;
  at: number;
}

/** Sees to it that VS Code asks from the first change in an editor on, and again when the server could not answer before. */
export function wakeGhostText(session: Session): vscode.Disposable {
  const awake = new WeakSet<vscode.TextEditor>();
  let last: Change | undefined;
  let before = session.status?.state;
  return vscode.Disposable.from(
    vscode.workspace.onDidChangeTextDocument(({ document, contentChanges, reason }) => {
      const editor = vscode.window.activeTextEditor;
      if (editor?.document !== document || contentChanges.length === 0 || reason !== undefined) return;
      last = { document, version: document.version, at: Date.now() };
      if (awake.has(editor) || !session.running) return;
      awake.add(editor);
      ask(document);
    }),
    session.onDidChange(() => {
      const now = session.status?.state;
      const becameReady = now === "ready" && before !== undefined && before !== "ready";
      before = now;
      if (!becameReady || last === undefined || vscode.window.activeTextEditor?.document !== last.document) return;
      if (last.document.version === last.version && Date.now() - last.at < WAITS_MS) ask(last.document);
    }),
  );
}

function ask(document: vscode.TextDocument): void {
  if (settings.ghostTextIsOff(document)) return;
  void vscode.commands.executeCommand("editor.action.inlineSuggest.trigger", { explicit: false });
}
