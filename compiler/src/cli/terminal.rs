//! The two streams: a script's output on the one, all that is said about it on the other.

use dp_compiler::diagnostic::Diagnostic;
use dp_compiler::diagnostic::render::render;
use dp_compiler::driver::Sink;
use dp_compiler::run::Message;
use dp_compiler::script::Output;
use dp_compiler::source::SourceMap;
use dp_runtime::plot::inline::{self, Graphics};
use std::io::{IsTerminal, Write};
use std::rc::Rc;

/// Where messages go.
pub struct Terminal {
    color: bool,
    /// The script's own output is not shown.
    quiet: bool,
    sources: Rc<SourceMap>,
    /// Messages are kept here instead of being written.
    kept: Option<String>,
}

impl Terminal {
    pub fn new() -> Terminal {
        // https://no-color.org
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Terminal { color: wanted && std::io::stderr().is_terminal(), quiet: false, sources: Rc::default(), kept: None }
    }

    /// Messages are coloured.
    pub fn color(&self) -> bool {
        self.color
    }

    /// The same without the script's own output.
    pub fn quiet(&self) -> Terminal {
        Terminal { color: self.color, quiet: true, sources: Rc::default(), kept: None }
    }

    /// One that keeps messages, uncoloured, and shows nothing.
    pub fn captured(&self) -> Terminal {
        Terminal { color: false, quiet: true, sources: Rc::default(), kept: Some(String::new()) }
    }

    /// What was kept.
    pub fn text(self) -> String {
        self.kept.unwrap_or_default()
    }

    /// The output is a terminal that wants colours.
    pub fn colors_output(&self) -> bool {
        self.color && std::io::stdout().is_terminal()
    }

    /// Writes to the output.
    pub fn print(&mut self, text: &str) {
        let mut out = std::io::stdout().lock();
        if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
            // Whoever read the output has had enough, as `head` has.
            std::process::exit(0);
        }
    }

    pub fn diagnostic(&mut self, sources: &SourceMap, diagnostic: &Diagnostic) {
        self.remark(&render(sources, diagnostic, self.color));
    }

    /// An error of the command line.
    pub fn error(&mut self, text: &str) {
        self.remark(&format!("error: {text}"));
    }

    /// Something to know besides the output.
    pub fn remark(&mut self, text: &str) {
        let text = text.trim_end();
        if let Some(kept) = &mut self.kept {
            kept.push_str(text);
            kept.push('\n');
            return;
        }
        // Without this stream there is nobody to tell.
        let _ = writeln!(std::io::stderr().lock(), "{text}");
    }
}

impl Output for Terminal {
    fn line(&mut self, text: &str) {
        if !self.quiet {
            self.print(&format!("{text}\n"));
        }
    }

    fn message(&mut self, message: &Message) {
        match message {
            Message::Warning(diagnostic) => {
                let sources = self.sources.clone();
                self.diagnostic(&sources, diagnostic);
            }
            Message::Dump(text) => self.remark(text),
        }
    }

    fn shows_colours(&self) -> bool {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        wanted && !self.quiet && std::io::stdout().is_terminal()
    }

    fn graphics(&self) -> Graphics {
        if self.quiet { Graphics::None } else { graphics() }
    }

    fn draws_progress(&self) -> bool {
        !self.quiet
    }
}

impl Sink for Terminal {
    fn sources(&mut self, sources: Rc<SourceMap>) {
        self.sources = sources;
    }
}

/// The pictures that the output can show; none where it is no terminal.
pub fn graphics() -> Graphics {
    if !std::io::stdout().is_terminal() {
        return Graphics::None;
    }
    inline::graphics(&|name| std::env::var(name).ok())
}

/// A text in lines of at most 100 characters.
pub fn wrapped(text: &str) -> String {
    let mut result = String::new();
    let mut width = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if width > 0 && width + 1 + length > 100 {
            result.push('\n');
            width = 0;
        }
        if width > 0 {
            result.push(' ');
            width += 1;
        }
        result.push_str(word);
        width += length;
    }
    result
}
