// The status-bar item: always there, always says the state; a click opens the menu. Knows nothing of how the state
// comes about.
import * as vscode from "vscode";
import { describe, type Shown } from "./describe";
import type { Here } from "./here";
import type { Session } from "./session";
import { decimal } from "./words";

export class StatusItem implements vscode.Disposable {
  private readonly item: vscode.StatusBarItem;
  private readonly subscriptions: vscode.Disposable[];

  constructor(
    private readonly session: Session,
    private readonly here: Here,
  ) {
    this.item = vscode.window.createStatusBarItem("tailora.status", vscode.StatusBarAlignment.Right, 100);
    this.item.name = "Tailora";
    this.item.command = "tailora.menu.open";
    const show = (): void => this.show();
    this.subscriptions = [session.onDidChange(show), here.onDidChange(show)];
    show();
    this.item.show();
  }

  dispose(): void {
    for (const item of this.subscriptions) item.dispose();
    this.item.dispose();
  }

  private show(): void {
    const shown = describe(this.session.phase, this.session.status, this.here.reason);
    const text = shown.text ? `Tailora: ${shown.text}` : "Tailora";
    const background = { none: undefined, warning: "statusBarItem.warningBackground", error: "statusBarItem.errorBackground" }[shown.severity];
    this.item.text = `$(${shown.icon}) ${text}`;
    this.item.backgroundColor = background ? new vscode.ThemeColor(background) : undefined;
    this.item.accessibilityInformation = { label: [text, shown.message].filter(Boolean).join(". ") };
    this.item.tooltip = this.tooltip(shown);
  }

  private tooltip(shown: Shown): vscode.MarkdownString {
    const text = new vscode.MarkdownString("", true);
    text.isTrusted = { enabledCommands: ["tailora.menu.open", "tailora.menu.showLearned", "tailora.menu.showLog"] };
    const line = (name: string, value: string | null | undefined): void => {
      if (!value) return;
      text.appendMarkdown(`**${name}:** `).appendText(value).appendMarkdown("\n\n");
    };
    text.appendMarkdown("**Tailora** ");
    if (shown.message) text.appendMarkdown("· ").appendText(shown.message);
    text.appendMarkdown("\n\n");
    const status = this.session.status;
    const { model, project, suggestion } = status ?? {};
    if (model?.name) {
      const kind = [model.quantization, model.device].filter((part) => part && part !== "none").join(", ");
      line("Model", `${model.name}${kind ? ` (${kind})` : ""}: ${model.state ?? ""}`);
    }
    if (project) {
      const serving = project.disabled ? "what was learned is turned off" : project.serving ? `version ${project.serving}` : "nothing learned yet, as shipped";
      line("Answers with", serving);
      line("Learning", project.message);
      line("Rolled back", project.withdrawn);
      const gate = project.last_gate;
      if (gate?.decision) {
        const loss = typeof gate.base_nll === "number" && typeof gate.candidate_nll === "number" ? ` (held-out loss ${decimal(gate.base_nll)} → ${decimal(gate.candidate_nll)})` : "";
        line("Last check", `version ${gate.version ?? "?"} ${gate.decision}${gate.reason ? `: ${gate.reason}` : ""}${loss}`);
      }
    }
    if (this.here.reason !== shown.message) line("Here", this.here.reason);
    if (suggestion && !suggestion.shown) line("Nothing suggested last", suggestion.reason);
    text.appendMarkdown("[Menu](command:tailora.menu.open) · [What was learned](command:tailora.menu.showLearned) · [Log](command:tailora.menu.showLog)");
    return text;
  }
}
