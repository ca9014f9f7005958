// The walkthrough: opened once, and its steps ticked off as they happen. The steps themselves are in package.json.
import * as vscode from "vscode";
import type { Session } from "./session";

const SHOWN = "walkthroughShown";
const done = new Set<string>();

export async function openWalkthrough(): Promise<void> {
  // VS Code ticks a step off only when its key becomes true after the steps were read, which may be just now.
  for (const key of done) await mark(key, false);
  await vscode.commands.executeCommand("workbench.action.openWalkthrough", "tailora.tailora#start", false);
  setTimeout(() => {
    for (const key of done) void mark(key, true);
  }, 1000);
}

function mark(key: string, value: boolean): Thenable<unknown> {
  return vscode.commands.executeCommand("setContext", `tailora.${key}`, value);
}

/** At the first activation only, and never over a file that is open. */
export async function openOnce(context: vscode.ExtensionContext): Promise<void> {
  if (context.globalState.get<boolean>(SHOWN)) return;
  await context.globalState.update(SHOWN, true);
  if (vscode.window.tabGroups.all.every((group) => group.tabs.every((tab) => tab.input === undefined))) await openWalkthrough();
}

/** Sets the context keys at which steps count as done. */
export function tickOff(session: Session): vscode.Disposable {
  const tick = (key: string, happened: boolean | undefined): void => {
    if (!happened || done.has(key)) return;
    done.add(key);
    void mark(key, true);
  };
  return session.onDidChange(() => {
    const { status } = session;
    tick("serverRuns", session.phase.kind === "running");
    tick("modelHere", ["loading", "ready", "unloaded"].includes(status?.model?.state ?? ""));
    tick("suggested", status?.suggestion?.shown);
    tick("learns", Boolean(status?.project?.serving) || ["training", "gating"].includes(status?.project?.state ?? ""));
  });
}
