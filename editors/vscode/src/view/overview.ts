// The side bar's view: gathers what it shows and does what its buttons say. How it looks is page.ts's. Asks the server
// again when the state of learning changes, and only while the view can be seen.
import { randomBytes } from "node:crypto";
import * as vscode from "vscode";
import { folderInUse, type Commands } from "../commands";
import { describe } from "../describe";
import type { Here } from "../here";
import type { AdaptersAnswer, LearnedAnswer } from "../protocol";
import type { Session } from "../session";
import type { FromPage, ToPage, ViewState } from "./messages";

export class Overview implements vscode.WebviewViewProvider {
  private view: vscode.WebviewView | undefined;
  private adapters: AdaptersAnswer | null = null;
  private learned: ViewState["learned"] = null;
  private seen = "";
  private sent = "";
  private asked = 0;

  constructor(
    private readonly context: vscode.ExtensionContext,
    private readonly session: Session,
    private readonly here: Here,
    private readonly commands: Commands,
  ) {
    context.subscriptions.push(
      session.onDidChange(() => void this.look()),
      here.onDidChange(() => void this.look()),
      vscode.workspace.onDidGrantWorkspaceTrust(() => void this.look()),
    );
  }

  resolveWebviewView(view: vscode.WebviewView): void {
    this.view = view;
    view.webview.options = { enableScripts: true, localResourceRoots: [vscode.Uri.joinPath(this.context.extensionUri, "dist"), vscode.Uri.joinPath(this.context.extensionUri, "media")] };
    view.webview.onDidReceiveMessage((message: FromPage) => void this.take(message));
    view.onDidChangeVisibility(() => void this.look());
    view.onDidDispose(() => (this.view = undefined));
    view.webview.html = this.html(view.webview);
  }

  private async take(message: FromPage): Promise<void> {
    const folder = folderInUse(this.here);
    switch (message.type) {
      case "ready":
      case "refresh":
        this.seen = this.sent = "";
        return this.look();
      case "learned":
        return this.askLearned(folder);
      case "use":
        await this.commands.use(message.version, folder);
        return this.ask();
      case "delete":
        await this.commands.deleteLearned(message.version, folder);
        return this.ask();
      case "openFile":
        return this.openFile(message.path);
      case "command":
        await vscode.commands.executeCommand(message.name === "manageTrust" ? "workbench.trust.manage" : `tailora.menu.${message.name}`);
        return this.ask();
    }
  }

  /** Shows the state, and asks the server where something happened that changes its versions. */
  private async look(): Promise<void> {
    if (!this.view?.visible) return;
    const project = this.session.status?.project;
    const gate = project?.last_gate;
    const now = JSON.stringify([folderInUse(this.here), this.session.running, project?.root, project?.state, project?.serving, project?.disabled, gate?.version, gate?.decision]);
    if (now === this.seen) return this.show();
    const [folder] = JSON.parse(this.seen || "[]") as unknown[];
    if (folder !== folderInUse(this.here)) this.learned = this.adapters = null;
    this.seen = now;
    this.show();
    await this.ask();
  }

  private async ask(): Promise<void> {
    const asked = ++this.asked;
    const answer = await this.session.call<AdaptersAnswer>("tailora.adapters", [folderInUse(this.here)]);
    if (asked !== this.asked) return;
    this.adapters = answer?.ok ? answer : null;
    this.show();
  }

  private async askLearned(folder: string | null): Promise<void> {
    this.learned = "asking";
    this.show();
    const answer = await this.session.call<LearnedAnswer>("tailora.learned", [folder]);
    this.learned = answer ?? { ok: false, message: "The language server did not answer." };
    this.show();
  }

  private async openFile(relative: string): Promise<void> {
    const folder = folderInUse(this.here);
    if (!folder) return;
    try {
      await vscode.window.showTextDocument(vscode.Uri.joinPath(vscode.Uri.parse(folder), relative), { preview: true });
    } catch {
      void vscode.window.showInformationMessage(`${relative} cannot be opened as text.`);
    }
  }

  private show(): void {
    if (!this.view) return;
    const { status, phase } = this.session;
    const project = status?.project;
    const shown = describe(phase, status, null);
    const uri = folderInUse(this.here);
    const state: ViewState = {
      trusted: vscode.workspace.isTrusted,
      folder: uri ? (vscode.workspace.getWorkspaceFolder(vscode.Uri.parse(uri))?.name ?? null) : null,
      away: this.session.running ? null : shown.message,
      learning: project
        ? {
            state: project.state ?? "",
            message: project.message ?? "",
            progress: project.progress ?? null,
            serving: project.serving ?? null,
            disabled: project.disabled ?? false,
            withdrawn: project.withdrawn ?? null,
          }
        : null,
      adapters: this.adapters,
      learned: this.learned,
    };
    const message: ToPage = { type: "state", state };
    const text = JSON.stringify(message);
    if (text === this.sent) return;
    this.sent = text;
    void this.view.webview.postMessage(message);
  }

  private html(webview: vscode.Webview): string {
    const nonce = randomBytes(18).toString("base64url");
    const at = (...parts: string[]): string => webview.asWebviewUri(vscode.Uri.joinPath(this.context.extensionUri, ...parts)).toString();
    return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="UTF-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src ${webview.cspSource}; script-src 'nonce-${nonce}';">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="${at("media", "view.css")}">
<title>Tailora</title>
</head>
<body>
<main id="tailora">
<section id="now" aria-label="What serves now" aria-live="polite"></section>
<section id="actions" aria-label="What you can do"></section>
<section id="charts" aria-label="Figures"></section>
<section id="versions" aria-label="Versions"></section>
<section id="learned" aria-label="What was learned from"></section>
</main>
<script nonce="${nonce}" src="${at("dist", "page.js")}"></script>
</body>
</html>`;
  }
}
