// VS Code asks for ghost text through a part of each editor that it makes only when the editor has been idle, up to
// five seconds after it was opened: whoever types at once sees nothing until a later key. The command below makes that
// part. It runs at the first change only, as ghost text that nobody typed for would be in the way.
import * as vscode from "vscode";
import type { Session } from "./session";
import * as settings from "./settings";

/** Sees to it that VS Code asks from the first change in an editor on. */
export function wakeGhostText(session: Session): vscode.Disposable {
  const awake = new WeakSet<vscode.TextEditor>();
  return vscode.workspace.onDidChangeTextDocument(({ document, contentChanges, reason }) => {
    const editor = vscode.window.activeTextEditor;
    if (editor?.document !== document || awake.has(editor) || !session.running) return;
    if (contentChanges.length === 0 || reason !== undefined || settings.ghostTextIsOff(document)) return;
    awake.add(editor);
    void vscode.commands.executeCommand("editor.action.inlineSuggest.trigger", { explicit: false });
  });
}
