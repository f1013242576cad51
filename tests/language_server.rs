//! Speaks the language server protocol with `dp lsp` over its streams, as an editor does.

use crate::harness::Folder;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// An editor with one server.
struct Client {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    number: i64,
    folder: Folder,
}

const TEXT: &str = "\
## Twice its argument.
fn double(x: real[n]) -> real[n] = 2 * x

let v = [1.0, 2.0]
let r = { loss: 1, left: v }
print double(v) + soft(v, 1)
print r.loss
";

impl Client {
    fn new(name: &str) -> Client {
        let folder = Folder::new(name);
        let mut child = Command::new(env!("CARGO_BIN_EXE_dp"))
            .arg("lsp")
            .current_dir(&folder.0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("dp starts");
        let input = child.stdin.take().expect("the input is piped");
        let output = BufReader::new(child.stdout.take().expect("the output is piped"));
        let mut client = Client { child, input, output, number: 0, folder };
        let said = client.ask("initialize", json!({ "capabilities": {} }));
        assert_eq!(said["capabilities"]["hoverProvider"], json!(true), "{said}");
        client.tell("initialized", json!({}));
        client
    }

    fn send(&mut self, message: &Value) {
        let text = message.to_string();
        write!(self.input, "Content-Length: {}\r\n\r\n{text}", text.len()).expect("dp reads");
        self.input.flush().expect("dp reads");
    }

    fn receive(&mut self) -> Value {
        let mut length = 0;
        loop {
            let mut line = String::new();
            assert!(self.output.read_line(&mut line).expect("dp writes text") > 0, "dp ended");
            match line.trim_end() {
                "" => break,
                line => {
                    if let Some(number) = line.strip_prefix("Content-Length: ") {
                        length = number.parse().expect("a number");
                    }
                }
            }
        }
        let mut bytes = vec![0; length];
        self.output.read_exact(&mut bytes).expect("dp writes as much as it says");
        serde_json::from_slice(&bytes).expect("dp writes JSON")
    }

    fn tell(&mut self, method: &str, params: Value) {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": params }));
    }

    /// The answer to a question; an error is given whole.
    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.number += 1;
        let number = self.number;
        self.send(&json!({ "jsonrpc": "2.0", "id": number, "method": method, "params": params }));
        loop {
            let said = self.receive();
            if said["id"] == json!(number) {
                return if said["error"].is_null() { said["result"].clone() } else { said["error"].clone() };
            }
        }
    }

    fn uri(&self) -> String {
        format!("file://{}/a.dp", self.folder.0.display())
    }

    /// Opens the text and gives what is said of it.
    fn open(&mut self, text: &str) -> Value {
        let uri = self.uri();
        let document = json!({ "uri": uri, "languageId": "dp", "version": 1, "text": text });
        self.tell("textDocument/didOpen", json!({ "textDocument": document }));
        self.receive()["params"]["diagnostics"].clone()
    }

    fn change(&mut self, text: &str) -> Value {
        let uri = self.uri();
        let changes = json!([{ "text": text }]);
        let document = json!({ "uri": uri, "version": 2 });
        self.tell("textDocument/didChange", json!({ "textDocument": document, "contentChanges": changes }));
        self.receive()["params"]["diagnostics"].clone()
    }

    fn at(&mut self, method: &str, line: u32, character: u32) -> Value {
        let uri = self.uri();
        let place = json!({ "line": line, "character": character });
        self.ask(&format!("textDocument/{method}"), json!({ "textDocument": { "uri": uri }, "position": place }))
    }

    fn hover(&mut self, line: u32, character: u32) -> String {
        self.at("hover", line, character)["contents"]["value"].as_str().unwrap_or_default().to_string()
    }

    fn labels(&mut self, line: u32, character: u32) -> Vec<String> {
        let found = self.at("completion", line, character);
        let items = found.as_array().cloned().unwrap_or_default();
        items.iter().filter_map(|item| item["label"].as_str().map(str::to_string)).collect()
    }

    fn end(mut self) {
        assert!(self.ask("shutdown", Value::Null).is_null());
        self.tell("exit", Value::Null);
        assert!(self.child.wait().expect("dp ends").success());
    }
}

#[test]
fn mistakes_are_told_while_they_are_typed() {
    let mut client = Client::new("lsp-mistakes");
    assert_eq!(client.open(TEXT), json!([]));
    let found = client.change("let λ = 1\nprint λ + nothing\nlet a: real[2] = [1.0, 2.0, 3.0]\n");
    let found = found.as_array().expect("a list");
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(found[0]["code"], json!("E0301"));
    assert_eq!(found[0]["range"]["start"], json!({ "line": 1, "character": 10 }));
    assert_eq!(found[0]["range"]["end"], json!({ "line": 1, "character": 17 }));
    assert!(found[1]["message"].as_str().is_some_and(|text| text.contains('2') && text.contains('3')), "{found:?}");
    // What did not parse.
    let found = client.change("let = 1\nprint (\n");
    assert!(found.as_array().is_some_and(|list| list.len() >= 2), "{found}");
    assert_eq!(client.change(TEXT), json!([]));
    client.end();
}

#[test]
fn hover_tells_type_shape_and_documentation() {
    let mut client = Client::new("lsp-hover");
    client.open(TEXT);
    // A function of the file, where it is used and where it is defined.
    for (line, character) in [(5, 8), (1, 5)] {
        let text = client.hover(line, character);
        assert!(text.contains("double : fn(x: real[n]) -> real[n]") && text.contains("Twice its argument."), "{text}");
    }
    // A parameter, a value, a function of std, a built-in, a word, a field, an operator.
    assert!(client.hover(1, 39).contains("x : real[n]"), "{}", client.hover(1, 39));
    assert!(client.hover(5, 13).contains("v : real[2]"));
    assert!(client.hover(3, 4).contains("v : real[2]"));
    let text = client.hover(5, 19);
    assert!(text.contains("soft : fn(v: real, t: real) -> real") && text.contains("Soft threshold"), "{text}");
    assert!(client.hover(6, 8).contains("loss : int"), "{}", client.hover(6, 8));
    assert!(client.hover(5, 16).contains("real[2]"), "{}", client.hover(5, 16));
    assert!(client.hover(3, 0).contains("names a value"));
    assert!(client.at("hover", 2, 0).is_null());
    client.change("let s = sum([1, 2])\n");
    assert!(client.hover(0, 9).contains("along an axis"));
    client.end();
}

#[test]
fn definitions_are_found() {
    let mut client = Client::new("lsp-definition");
    client.folder.file("helpers.dp", "fn help(x: real) = x\n");
    let mistakes = client.open(&format!("use helpers\n{TEXT}print help(1)\n"));
    assert_eq!(mistakes, json!([]));
    let place = client.at("definition", 6, 8);
    assert_eq!(place["range"]["start"], json!({ "line": 2, "character": 3 }), "{place}");
    let place = client.at("definition", 8, 8);
    assert!(place["uri"].as_str().is_some_and(|uri| uri.ends_with("helpers.dp")), "{place}");
    // In std, in a copy that can be read.
    let place = client.at("definition", 6, 19);
    let uri = place["uri"].as_str().expect("an address");
    let text = std::fs::read_to_string(uri.strip_prefix("file://").expect("a file")).expect("std can be read");
    let line = place["range"]["start"]["line"].as_u64().expect("a line");
    assert!(text.lines().nth(line as usize).is_some_and(|line| line.starts_with("fn soft(")), "{place}");
    // Nothing is known of a number.
    assert!(client.at("definition", 4, 9).is_null());
    client.end();
}

#[test]
fn completions_formatting_and_outline() {
    let mut client = Client::new("lsp-completion");
    client.open(&format!("{TEXT}print dou\nprint r.\nlet \\lam\nprint unit_c\n"));
    assert_eq!(client.labels(7, 9), ["double"]);
    assert_eq!(client.labels(8, 8), ["loss", "left"]);
    assert_eq!(client.labels(9, 8), ["\\lambda"]);
    assert_eq!(client.labels(10, 12), ["unit_columns"]);
    assert!(client.labels(7, 6).contains(&"value_and_grad".to_string()));
    let uri = client.uri();
    let asked = json!({ "textDocument": { "uri": uri }, "options": { "tabSize": 4, "insertSpaces": true } });
    assert!(client.ask("textDocument/formatting", asked.clone()).is_null(), "a text with mistakes is left alone");
    client.change("let a=1+2\nfn f( x:real )=x\n");
    let edits = client.ask("textDocument/formatting", asked.clone());
    assert_eq!(edits[0]["newText"], json!("let a = 1 + 2\nfn f(x: real) = x\n"), "{edits}");
    assert_eq!(edits[0]["range"]["end"], json!({ "line": 2, "character": 0 }));
    let outline = client.ask("textDocument/documentSymbol", asked);
    let names: Vec<&str> = outline.as_array().expect("a list").iter().filter_map(|s| s["name"].as_str()).collect();
    assert_eq!(names, ["a", "f"]);
    // What is not known is refused, and the server goes on.
    assert!(client.ask("textDocument/rename", json!({}))["code"].is_number());
    assert!(client.ask("textDocument/hover", json!({ "wrong": 1 }))["code"].is_number());
    assert!(client.hover(0, 4).contains("a : int"));
    client.end();
}

#[test]
fn terms_of_problems_and_types_of_lets() {
    let mut client = Client::new("lsp-terms");
    let text = "\
problem lasso(x: real[m], D: real[m, n], c: real) {
    minimize over y: real[n]
        1/2 * sumsq(x - D @ y) + c * norm1(y)
}
let D = unit_columns(normal(3, 4))
let n = 3
fn twice(v: real[k]) {
    let w = 2 * v
    w
}
let (a, b) = (D @ ones(4), true)
print a, b
";
    assert_eq!(client.open(text), json!([]));
    // The quadratic term and the norm, at a name and at an operator.
    for (character, wanted) in [(22, "opnorm(D)^2"), (14, "quadratic"), (38, "proximable"), (34, "weight c")] {
        let text = client.hover(2, character);
        assert!(text.contains("term `") && text.contains(wanted), "{character}: {text}");
    }
    assert!(!client.hover(4, 4).contains("term"), "{}", client.hover(4, 4));
    // While it is being written.
    client.change("problem p(x: real[n]) {\n    minimize over y: real[n]\n        sumsq(x - y) +\n}\n");
    client.at("hover", 2, 10);
    client.change(text);
    let uri = client.uri();
    let mut hints = |from: u64, to: u64| -> Vec<(u64, u64, String)> {
        let range = json!({ "start": { "line": from, "character": 0 }, "end": { "line": to, "character": 0 } });
        let asked = json!({ "textDocument": { "uri": uri }, "range": range });
        let found = client.ask("textDocument/inlayHint", asked);
        let hint = |hint: &Value| {
            let at = &hint["position"];
            let label = hint["label"].as_str().expect("a text").to_string();
            (at["line"].as_u64().expect("a line"), at["character"].as_u64().expect("a column"), label)
        };
        found.as_array().expect("a list").iter().map(hint).collect()
    };
    let all = hints(0, 20);
    let wanted = [(4, 5, ": real[3, 4]"), (7, 9, ": real[k]"), (10, 6, ": real[3]"), (10, 9, ": bool")];
    assert_eq!(all, wanted.map(|(line, column, label)| (line, column, label.to_string())));
    assert_eq!(hints(5, 9).len(), 1);
    client.end();
}
