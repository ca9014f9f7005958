// Publishes what ruff says of Python documents, as ruff's own extension does. Knows nothing of Tailora.
"use strict";

const { spawn } = require("node:child_process");
const vscode = require("vscode");

function check(document, diagnostics) {
  if (document.languageId !== "python" || document.uri.scheme !== "file") return;
  const version = document.version;
  const ruff = spawn(process.env.TAILORA_TEST_RUFF, [
    "check", "--isolated", "--no-cache", "--output-format=json", "--stdin-filename", document.fileName, "-",
  ]);
  let output = "";
  ruff.stdout.on("data", (data) => (output += data));
  ruff.on("close", () => {
    if (document.version !== version) return;
    const found = JSON.parse(output).map((item) => {
      const range = new vscode.Range(
        item.location.row - 1, item.location.column - 1, item.end_location.row - 1, item.end_location.column - 1,
      );
      const diagnostic = new vscode.Diagnostic(range, item.message);
      diagnostic.source = "Ruff";
      diagnostic.code = item.code;
      return diagnostic;
    });
    diagnostics.set(document.uri, found);
  });
  ruff.stdin.end(document.getText());
}

exports.activate = (context) => {
  const diagnostics = vscode.languages.createDiagnosticCollection("ruff");
  context.subscriptions.push(
    diagnostics,
    vscode.workspace.onDidOpenTextDocument((document) => check(document, diagnostics)),
    vscode.workspace.onDidChangeTextDocument((event) => check(event.document, diagnostics)),
  );
  for (const document of vscode.workspace.textDocuments) check(document, diagnostics);
};
