// The doctor's findings as a readable page. Knows nothing of how they were found.
import * as vscode from "vscode";
import type { DoctorAnswer } from "./protocol";

const SCHEME = "tailora-report";
const MARKS: Record<string, string> = { ok: "✓", warning: "⚠", problem: "✗" };

export class Report implements vscode.Disposable {
  private text = "";
  private readonly changed = new vscode.EventEmitter<vscode.Uri>();
  private readonly uri = vscode.Uri.parse(`${SCHEME}:Tailora Doctor.md`);
  private readonly provider = vscode.workspace.registerTextDocumentContentProvider(SCHEME, {
    onDidChange: this.changed.event,
    provideTextDocumentContent: () => this.text,
  });

  dispose(): void {
    this.provider.dispose();
    this.changed.dispose();
  }

  async show(answer: DoctorAnswer): Promise<void> {
    this.text = markdown(answer);
    this.changed.fire(this.uri);
    try {
      await vscode.commands.executeCommand("markdown.showPreview", this.uri);
    } catch {
      await vscode.window.showTextDocument(this.uri, { preview: true });
    }
  }
}

function markdown({ message, findings = [] }: DoctorAnswer): string {
  const order = ["problem", "warning", "ok"];
  const sorted = [...findings].sort((one, other) => order.indexOf(one.level) - order.indexOf(other.level));
  const lines = sorted.map(({ check, level, message: said, advice }) => {
    const todo = advice && !said.includes(advice) ? `\n  - To do: ${escape(advice)}` : "";
    return `- ${MARKS[level] ?? "·"} **${escape(check)}**: ${escape(said)}${todo}`;
  });
  return `# Tailora doctor\n\n${escape(message ?? "")}\n\n${lines.join("\n")}\n`;
}

function escape(text: string): string {
  return text.replace(/[\\*_{}[\]<>#|]/g, "\\$&");
}
