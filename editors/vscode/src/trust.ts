// VS Code's workspace trust, in words. Knows nothing of what is learned.
import * as vscode from "vscode";

/** Says why trust is needed, and opens VS Code's page about it if that is wanted. */
export async function manageTrust(why: string): Promise<void> {
  const manage = "Manage Trust";
  const chosen = await vscode.window.showWarningMessage(`${why} This folder is not trusted.`, manage);
  if (chosen === manage) await vscode.commands.executeCommand("workbench.trust.manage");
}
