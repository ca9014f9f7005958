// Starts `tailora lsp` and hands it to VS Code's own inline completion. Trust is VS Code's: an untrusted folder
// is completed and never learned. Knows nothing of how suggestions are made.
"use strict";

const vscode = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");

let client;

function settings() {
  return { learning: { trusted: vscode.workspace.isTrusted } };
}

async function activate(context) {
  const [command, ...args] = vscode.workspace.getConfiguration("tailora").get("command");
  client = new LanguageClient(
    "tailora",
    "Tailora",
    { command, args },
    {
      documentSelector: [{ scheme: "file" }, { scheme: "untitled" }],
      initializationOptions: settings(),
    },
  );
  const item = vscode.window.createStatusBarItem("tailora.status", vscode.StatusBarAlignment.Right);
  item.name = "Tailora";
  item.text = "Tailora: starting";
  item.show();
  client.onNotification("tailora/status", (status) => {
    item.text = `Tailora: ${status.state}`;
    item.tooltip = [status.message, status.suggestion?.reason].filter(Boolean).join("\n");
  });
  context.subscriptions.push(
    item,
    vscode.workspace.onDidGrantWorkspaceTrust(() =>
      client.sendNotification("workspace/didChangeConfiguration", { settings: { tailora: settings() } }),
    ),
  );
  await client.start();
}

function deactivate() {
  return client?.stop();
}

module.exports = { activate, deactivate };
