// Answers every request for ghost text at once, so that what is left is VS Code's own time.
const vscode = require("vscode");

exports.activate = (context) => {
  const provider = {
    provideInlineCompletionItems: (_document, position) => [
      new vscode.InlineCompletionItem("eturn width * height", new vscode.Range(position, position)),
    ],
  };
  context.subscriptions.push(vscode.languages.registerInlineCompletionItemProvider({ language: "python" }, provider));
};
