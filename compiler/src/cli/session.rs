//! `dp repl`: connects a session with the terminal, or with the streams where there is none.

use super::End;
use super::arguments::Settings;
use super::terminal::Terminal;
use dp_compiler::repl::terminal as editor;
use dp_compiler::repl::workspace::Workspace;
use dp_compiler::repl::{self, Console, Editor, Lines};
use dp_runtime::plot::inline::Graphics;
use std::cell::RefCell;
use std::io::IsTerminal;
use std::path::Path;
use std::rc::Rc;

/// Runs a session, after a script if one is given.
pub fn run(file: Option<&Path>, settings: &Settings, terminal: &mut Terminal) -> End {
    let interactive = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    dp_runtime::interrupt::install_patient();
    let workspace = Rc::new(RefCell::new(Workspace::new(&settings.options())));
    let mut console = Screen { terminal, interactive };
    if let Some(file) = file {
        let line = format!(":load {}", file.display());
        if !repl::entry(&mut workspace.borrow_mut(), &line, &mut console).0 && !interactive {
            return End::Failed;
        }
    }
    let mut editor: Box<dyn Editor> = match interactive {
        false => Box::new(Lines::new(std::io::stdin().lock())),
        true => match editor::Terminal::new(console.color()) {
            Ok(editor) => {
                console.print(&format!("dp {}; :help tells what can be entered", env!("CARGO_PKG_VERSION")));
                Box::new(editor)
            }
            Err(_) => Box::new(Lines::new(std::io::stdin().lock())),
        },
    };
    let good = repl::run(&workspace, &mut *editor, &mut console);
    // A person has seen what was wrong.
    if good || interactive { End::Good } else { End::Failed }
}

/// A console on the two streams.
struct Screen<'a> {
    terminal: &'a mut Terminal,
    interactive: bool,
}

impl Console for Screen<'_> {
    fn print(&mut self, text: &str) {
        self.terminal.print(&format!("{text}\n"));
    }

    fn tell(&mut self, text: &str) {
        self.terminal.remark(text);
    }

    fn color(&self) -> bool {
        self.interactive && self.terminal.color()
    }

    fn interactive(&self) -> bool {
        self.interactive
    }

    fn width(&self) -> usize {
        terminal_width().unwrap_or(80)
    }

    fn graphics(&self) -> Graphics {
        if self.interactive { super::terminal::graphics() } else { Graphics::None }
    }
}

/// The width that the shell tells.
fn terminal_width() -> Option<usize> {
    std::env::var("COLUMNS").ok()?.parse().ok()
}
