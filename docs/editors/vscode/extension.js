// Starts `dp lsp` and connects it with the editor.
const { workspace } = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");

let client;

function activate(context) {
  const command = workspace.getConfiguration("dp").get("path", "dp");
  client = new LanguageClient(
    "dp",
    "dp",
    { command, args: ["lsp"] },
    { documentSelector: [{ language: "dp" }] }
  );
  context.subscriptions.push(client);
  return client.start();
}

function deactivate() {
  return client ? client.stop() : undefined;
}

module.exports = { activate, deactivate };
