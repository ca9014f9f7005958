// Why nothing is suggested in the document in use, if so. The server knows about files; what is no file is answered
// here. Asks when the editor changes, never at a keystroke.
import * as vscode from "vscode";
import type { HereAnswer } from "./protocol";
import type { Session } from "./session";
import * as settings from "./settings";

/** Panels that look like editors to extensions; the editor beside them is the one in use. */
const PANELS = new Set(["output", "debug", "comment", "vscode-chat-input"]);
const NAMES: Record<string, string> = {
  git: "an old version of a file",
  "vscode-settings": "VS Code's settings",
  "vscode-scm": "the message of a commit",
  vscode: "a document of VS Code",
};

export class Here implements vscode.Disposable {
  reason: string | null = null;
  document: vscode.TextDocument | null = null;
  private readonly changed = new vscode.EventEmitter<void>();
  readonly onDidChange = this.changed.event;
  private readonly subscriptions: vscode.Disposable[] = [];
  private asked = 0;
  private seen = "";

  constructor(private readonly session: Session) {
    const look = (): void => void this.look();
    this.subscriptions.push(
      vscode.window.onDidChangeActiveTextEditor(look),
      vscode.window.onDidChangeActiveNotebookEditor(look),
      vscode.workspace.onDidOpenTextDocument((document) => {
        if (document === vscode.window.activeTextEditor?.document) look(); // its language was changed
      }),
      vscode.workspace.onDidSaveTextDocument((document) => {
        if (document === this.document) look(); // it may have grown too large
      }),
      vscode.workspace.onDidChangeConfiguration((event) => {
        if (event.affectsConfiguration("tailora") || event.affectsConfiguration("editor.inlineSuggest")) {
          setTimeout(look, 200); // the server reads the settings first
        }
      }),
      session.onDidChange(() => {
        const now = `${session.phase.kind} ${session.status?.state}`;
        if (now !== this.seen) look();
        this.seen = now;
      }),
    );
  }

  dispose(): void {
    for (const item of this.subscriptions) item.dispose();
    this.changed.dispose();
  }

  private async look(): Promise<void> {
    const editor = vscode.window.activeTextEditor;
    if (editor && PANELS.has(editor.document.uri.scheme)) return;
    const asked = ++this.asked;
    this.document = editor?.document ?? null;
    const reason = await this.why(this.document);
    if (asked !== this.asked) return;
    this.reason = reason;
    this.changed.fire();
  }

  private async why(document: vscode.TextDocument | null): Promise<string | null> {
    if (vscode.window.activeNotebookEditor || document?.uri.scheme === "vscode-notebook-cell") {
      return "There are no suggestions in notebooks";
    }
    if (!document) return null;
    const { scheme } = document.uri;
    if (scheme !== "file" && scheme !== "untitled") {
      const name = NAMES[scheme];
      return name ? `There are no suggestions in ${name}` : `There are suggestions in files only, and this is none (${scheme})`;
    }
    if (settings.ghostTextIsOff(document)) {
      return "VS Code shows no suggestions here: its setting editor.inlineSuggest.enabled is off";
    }
    const answer = await this.session.call<HereAnswer>("tailora.here", [document.uri.toString()]);
    return answer?.ok ? (answer.reason ?? null) : null;
  }
}
