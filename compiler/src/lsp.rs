//! The language server: what an editor asks about a text that is being written.
//!
//! Messages are taken one by one, in order. A text is checked as a whole after each change, which takes a few
//! milliseconds; answers are made from what the checker noted down (`types::seen`). Nothing is run.

mod answer;
mod hints;
mod place;

use crate::diagnostic::{Diagnostic, Severity};
use crate::driver::{self, Analysis};
use crate::source::Span;
use lsp_server::{Connection, ErrorCode, Message, Notification, Request, Response};
use lsp_types::{
    CompletionOptions, DiagnosticRelatedInformation, DiagnosticSeverity, HoverProviderCapability, Location,
    NumberOrString, OneOf, PublishDiagnosticsParams, ServerCapabilities, TextDocumentPositionParams,
    TextDocumentSyncCapability, TextDocumentSyncKind, Uri,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::HashMap;
use std::path::PathBuf;

/// The texts that are open, by their addresses.
struct Server<'a> {
    connection: &'a Connection,
    documents: HashMap<String, Document>,
}

/// An open text and what was found in it.
struct Document {
    uri: Uri,
    path: PathBuf,
    text: String,
    analysis: Analysis,
}

/// Serves an editor on the two streams until it says goodbye.
///
/// # Errors
/// If the editor breaks the protocol.
pub fn run() -> Result<(), String> {
    let (connection, threads) = Connection::stdio();
    serve(&connection)?;
    drop(connection);
    threads.join().map_err(|e| e.to_string())
}

/// Serves an editor over a connection.
fn serve(connection: &Connection) -> Result<(), String> {
    let capabilities = ServerCapabilities {
        text_document_sync: Some(TextDocumentSyncCapability::Kind(TextDocumentSyncKind::FULL)),
        hover_provider: Some(HoverProviderCapability::Simple(true)),
        definition_provider: Some(OneOf::Left(true)),
        document_formatting_provider: Some(OneOf::Left(true)),
        document_symbol_provider: Some(OneOf::Left(true)),
        inlay_hint_provider: Some(OneOf::Left(true)),
        completion_provider: Some(CompletionOptions {
            trigger_characters: Some(vec![".".to_string(), "\\".to_string()]),
            ..CompletionOptions::default()
        }),
        ..ServerCapabilities::default()
    };
    let (id, _) = connection.initialize_start().map_err(|e| e.to_string())?;
    let said = serde_json::json!({
        "capabilities": capabilities,
        "serverInfo": { "name": "dp", "version": env!("CARGO_PKG_VERSION") },
    });
    connection.initialize_finish(id, said).map_err(|e| e.to_string())?;
    let mut server = Server { connection, documents: HashMap::new() };
    for message in &connection.receiver {
        match message {
            Message::Request(request) => {
                if connection.handle_shutdown(&request).map_err(|e| e.to_string())? {
                    return Ok(());
                }
                let response = server.answer(request);
                // An editor that is gone needs no answer.
                let _ = connection.sender.send(Message::Response(response));
            }
            Message::Notification(notification) => server.notice(notification),
            Message::Response(_) => {}
        }
    }
    Ok(())
}

impl Server<'_> {
    fn answer(&mut self, request: Request) -> Response {
        let Request { id, method, params } = request;
        let result = match method.as_str() {
            "textDocument/hover" => self.at(params, answer::hover),
            "textDocument/definition" => self.at(params, answer::definition),
            "textDocument/completion" => self.at(params, answer::completion),
            "textDocument/formatting" => self.of(params, answer::formatting),
            "textDocument/documentSymbol" => self.of(params, answer::symbols),
            "textDocument/inlayHint" => self.hints(params),
            other => {
                let message = format!("`{other}` is not answered");
                return Response::new_err(id, ErrorCode::MethodNotFound as i32, message);
            }
        };
        match result {
            Ok(value) => Response::new_ok(id, value),
            Err(problem) => Response::new_err(id, ErrorCode::InvalidParams as i32, problem),
        }
    }

    /// Answers a question about a place in a text.
    fn at<T: Serialize>(&mut self, params: Value, answer: fn(&Document, usize) -> T) -> Result<Value, String> {
        let asked: TextDocumentPositionParams = read(params)?;
        let document = self.document(&asked.text_document.uri)?;
        let offset = place::offset(&document.text, asked.position);
        serde_json::to_value(answer(document, offset)).map_err(|e| e.to_string())
    }

    /// Answers a question about a whole text.
    fn of<T: Serialize>(&mut self, params: Value, answer: fn(&Document) -> T) -> Result<Value, String> {
        let uri: lsp_types::TextDocumentIdentifier = read(params.get("textDocument").cloned().unwrap_or_default())?;
        serde_json::to_value(answer(self.document(&uri.uri)?)).map_err(|e| e.to_string())
    }

    fn hints(&mut self, params: Value) -> Result<Value, String> {
        let asked: lsp_types::InlayHintParams = read(params)?;
        let document = self.document(&asked.text_document.uri)?;
        serde_json::to_value(hints::hints(document, asked.range)).map_err(|e| e.to_string())
    }

    fn document(&self, uri: &Uri) -> Result<&Document, String> {
        self.documents.get(uri.as_str()).ok_or_else(|| format!("`{}` is not open", uri.as_str()))
    }

    fn notice(&mut self, notification: Notification) {
        let Notification { method, params } = notification;
        match method.as_str() {
            "textDocument/didOpen" => {
                if let Ok(said) = read::<lsp_types::DidOpenTextDocumentParams>(params) {
                    self.check(said.text_document.uri, said.text_document.text);
                }
            }
            "textDocument/didChange" => {
                if let Ok(said) = read::<lsp_types::DidChangeTextDocumentParams>(params)
                    && let Some(last) = said.content_changes.into_iter().next_back()
                {
                    self.check(said.text_document.uri, last.text);
                }
            }
            "textDocument/didClose" => {
                if let Ok(said) = read::<lsp_types::DidCloseTextDocumentParams>(params) {
                    self.documents.remove(said.text_document.uri.as_str());
                    self.publish(said.text_document.uri, Vec::new());
                }
            }
            _ => {}
        }
    }

    /// Checks a text and tells the editor what is wrong in it.
    fn check(&mut self, uri: Uri, text: String) {
        let path = place::path(&uri);
        let analysis = driver::analyze(&path, &text);
        let document = Document { uri: uri.clone(), path, text, analysis };
        let found = document.analysis.diagnostics.iter().map(|d| shown(&document, d)).collect();
        self.documents.insert(uri.as_str().to_string(), document);
        self.publish(uri, found);
    }

    fn publish(&self, uri: Uri, diagnostics: Vec<lsp_types::Diagnostic>) {
        let params = PublishDiagnosticsParams { uri, diagnostics, version: None };
        if let Ok(params) = serde_json::to_value(params) {
            let method = "textDocument/publishDiagnostics".to_string();
            let _ = self.connection.sender.send(Message::Notification(Notification { method, params }));
        }
    }
}

fn read<T: DeserializeOwned>(params: Value) -> Result<T, String> {
    serde_json::from_value(params).map_err(|e| e.to_string())
}

impl Document {
    /// The range of a span of this text; the beginning for what lies elsewhere.
    fn range(&self, span: Span) -> lsp_types::Range {
        if span.file != self.analysis.file {
            return lsp_types::Range::default();
        }
        place::range(&self.text, span)
    }
}

/// A message as editors show it: labels elsewhere become related places, notes and help part of the text.
fn shown(document: &Document, diagnostic: &Diagnostic) -> lsp_types::Diagnostic {
    let mut message = diagnostic.message.clone();
    let here = &diagnostic.labels[0].text;
    let mut related = Vec::new();
    let mut more: Vec<String> = Vec::new();
    if !here.is_empty() {
        more.push(here.clone());
    }
    for label in &diagnostic.labels[1..] {
        if label.span.file == document.analysis.file {
            let location = Location { uri: document.uri.clone(), range: document.range(label.span) };
            related.push(DiagnosticRelatedInformation { location, message: label.text.clone() });
        } else if !label.text.is_empty() {
            more.push(format!("{}: {}", document.analysis.sources.place(label.span), label.text));
        }
    }
    more.extend(diagnostic.notes.iter().cloned());
    more.extend(diagnostic.help.iter().map(|help| format!("help: {help}")));
    for line in more {
        message += &format!("\n{line}");
    }
    lsp_types::Diagnostic {
        range: document.range(diagnostic.span()),
        severity: Some(match diagnostic.severity {
            Severity::Error => DiagnosticSeverity::ERROR,
            Severity::Warning => DiagnosticSeverity::WARNING,
        }),
        code: Some(NumberOrString::String(diagnostic.code.0.to_string())),
        source: Some("dp".to_string()),
        message,
        related_information: Some(related).filter(|related| !related.is_empty()),
        ..lsp_types::Diagnostic::default()
    }
}
