//! The manual under `docs/`: its programs run and say what the pages say, and the pages of std are what its comments give.
//!
//! On the pages of the tutorial and the guides the blocks marked `dp` are one program from top to bottom, and a block marked `text`
//! is the output of the block before it. A block marked `dp,error=CODE` is a program by itself that gets this message. On
//! other pages blocks marked `dp` are parts that parse.

use crate::harness::{Folder, Ran, complaints_of, expect_none, files_below, root, run, with};
use dp_compiler::run::Engine;
use dp_compiler::source::SourceMap;
use dp_compiler::syntax;
use dp_compiler::syntax::ast::{Item, ItemKind, LetKind};
use std::path::Path;

/// A fenced block: what stands behind the fence, the line it begins on, its text.
struct Block {
    kind: String,
    line: usize,
    text: String,
}

fn blocks(page: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut open: Option<Block> = None;
    for (i, line) in page.lines().enumerate() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(_), Some(_)) => found.extend(open.take()),
            (Some(kind), None) => open = Some(Block { kind: kind.to_string(), line: i + 1, text: String::new() }),
            (None, Some(block)) => block.text += &format!("{line}\n"),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block is not closed");
    found
}

/// Runs a text as a script of its own.
fn run_text(name: &str, text: String) -> Ran {
    let folder = Folder::new(&format!("manual-{name}"));
    run(&folder.file("page.dp", text), &with(Engine::Native))
}

/// The line that marks the end of a block's output.
fn mark(block: &Block) -> String {
    format!("end of the block at line {}", block.line)
}

fn page_says_what_happens(path: &Path) -> Result<(), String> {
    let page = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let name = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().to_string());
    let blocks = blocks(&page);
    for block in &blocks {
        let Some(code) = block.kind.strip_prefix("dp,error=") else { continue };
        let ran = run_text(&format!("{name}-{}", block.line), block.text.clone());
        if !ran.told.iter().any(|told| told.error && told.code == code) {
            return Err(format!("{}:{}: wanted {code}, got {}", path.display(), block.line, ran.messages()));
        }
    }
    let program: Vec<String> = blocks
        .iter()
        .filter(|block| block.kind == "dp")
        .map(|block| format!("{}\nprint \"{}\"\n", block.text, mark(block)))
        .collect();
    if program.is_empty() {
        return Ok(());
    }
    let ran = run_text(&name, program.concat());
    if ran.failed() {
        return Err(format!("{}: fails\n{}", path.display(), ran.messages()));
    }
    for pair in blocks.windows(2).filter(|pair| pair[0].kind == "dp") {
        let end = ran.lines.iter().position(|line| *line == mark(&pair[0])).expect("every block ends with its mark");
        let start = ran.lines[..end].iter().rposition(|line| line.starts_with("end of the block at line "));
        let said: String =
            ran.lines[start.map_or(0, |at| at + 1)..end].iter().map(|line| format!("{line}\n")).collect();
        let wanted = if pair[1].kind == "text" { pair[1].text.as_str() } else { "" };
        if said != wanted {
            return Err(format!("{}:{}: says\n{said}the page says\n{wanted}", path.display(), pair[0].line));
        }
    }
    Ok(())
}

#[test]
fn tutorial_and_guides_run() {
    let mut pages = files_below(&root().join("docs/tutorial"), "md");
    pages.extend(files_below(&root().join("docs/guides"), "md"));
    assert!(pages.len() >= 12, "the pages of the tutorial and the guides are found");
    expect_none(&complaints_of(&pages, |page| page_says_what_happens(page)));
}

#[test]
fn parts_of_programs_in_the_reference_parse() {
    let mut complaints = Vec::new();
    let reference = std::fs::read_dir(root().join("docs")).expect("docs is a folder");
    let pages = reference
        .map(|entry| entry.expect("docs can be read").path())
        .filter(|p| p.extension().is_some_and(|e| e == "md"));
    for path in pages {
        let page = std::fs::read_to_string(&path).expect("a page can be read");
        for block in blocks(&page).iter().filter(|block| block.kind == "dp") {
            let mut sources = SourceMap::default();
            let file = sources.add("page.dp", None, block.text.clone());
            if let Some(first) = syntax::parse(&sources, file).1.first() {
                complaints.push(format!("{}:{}: {}", path.display(), block.line, first.message));
            }
        }
    }
    expect_none(&complaints);
}

#[test]
fn every_page_is_in_the_table_of_contents() {
    let contents = std::fs::read_to_string(root().join("docs/SUMMARY.md")).expect("docs/SUMMARY.md");
    let complaints: Vec<String> = files_below(&root().join("docs"), "md")
        .iter()
        .map(|path| path.strip_prefix(root().join("docs")).expect("below docs").display().to_string())
        .filter(|name| name != "SUMMARY.md" && !contents.contains(&format!("({name})")))
        .collect();
    expect_none(&complaints);
}

#[test]
fn links_lead_to_files() {
    let mut pages = files_below(&root().join("docs"), "md");
    pages.extend(["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(|name| root().join(name)));
    let mut complaints = Vec::new();
    let mut count = 0;
    for path in pages {
        let page = std::fs::read_to_string(&path).expect("a page can be read");
        let folder = path.parent().expect("a page lies in a folder");
        for (at, _) in page.match_indices("](") {
            let target = page[at + 2..].split([')', '#']).next().unwrap_or("");
            if target.is_empty() || target.contains("://") || target.contains(char::is_whitespace) {
                continue;
            }
            count += 1;
            if !folder.join(target).exists() {
                complaints.push(format!("{}: `{target}` is not there", path.display()));
            }
        }
    }
    assert!(count > 30, "links are found: {count}");
    expect_none(&complaints);
}

/// The first line of a definition, without its body.
fn signature(sources: &SourceMap, item: &Item) -> Option<String> {
    let text = sources.text(item.span);
    let before = |end: usize| text[..end - item.span.start as usize].trim_end().trim_end_matches(['=', '{']).trim_end();
    let short = match &item.kind {
        ItemKind::Fn(f) => before(f.body.span.start as usize),
        ItemKind::Let(binding) => match &binding.kind {
            LetKind::Inits(inits) => before(inits[0].value.span.start as usize),
            LetKind::Tuple(_, value) => before(value.span.start as usize),
        },
        ItemKind::Custom(rule) => before(rule.body.span.start as usize),
        ItemKind::Solver(_) | ItemKind::Network(_) | ItemKind::Problem(_) | ItemKind::Method(_) => {
            text.split_once('{').map_or(text, |(before, _)| before).trim_end()
        }
        _ => return None,
    };
    Some(short.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// The page of std: of every definition with a comment its signature, comment and examples.
fn reference_of_std() -> String {
    let mut page = String::from(
        "# The standard library\n\nWritten in dp, in `std/`, and always in force. This page is made from its comments.\n",
    );
    for (name, text) in dp_compiler::stdlib::MODULES {
        let mut sources = SourceMap::default();
        let file = sources.add(format!("{name}.dp"), None, *text);
        let (module, _) = syntax::parse(&sources, file);
        page += &format!("\n## {name}\n");
        for item in module.items.iter().filter(|item| !item.doc.is_empty()) {
            let Some(signature) = signature(&sources, item) else { continue };
            let (examples, words): (Vec<&str>, Vec<&str>) =
                item.doc.iter().map(|line| line.trim()).partition(|line| line.starts_with('>'));
            page += &format!("\n### `{signature}`\n\n{}\n", words.join("\n"));
            if !examples.is_empty() {
                let lines: Vec<&str> = examples.iter().map(|line| line[1..].trim()).collect();
                page += &format!("\n```dp\n{}\n```\n", lines.join("\n"));
            }
        }
    }
    page
}

#[test]
fn page_of_std_is_what_its_comments_give() {
    let path = root().join("docs/std.md");
    let wanted = reference_of_std();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &wanted).expect("docs/std.md can be written");
        return;
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == wanted,
        "docs/std.md is not what the comments of std give: UPDATE=1 cargo test page_of_std writes it"
    );
}

/// The first cells of the rows of a table, below a heading of a page.
fn rows_below(page: &str, heading: &str) -> Vec<String> {
    let part = page.split_once(heading).unwrap_or_else(|| panic!("no heading {heading}")).1;
    let lines = part.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    lines
        .skip(2)
        .map(|line| line.trim_start_matches('|').split(" | ").next().unwrap_or("").trim().to_string())
        .collect()
}

#[test]
fn every_awkward_point_of_the_table_has_a_test_that_names_it() {
    let page = std::fs::read_to_string(root().join("docs/numerics.md")).expect("the page");
    let rows = rows_below(&page, "## Derivatives at awkward points");
    assert!(rows.len() > 15, "{rows:?}");
    let mut held: Vec<String> = Vec::new();
    for file in files_below(&root().join("tests/run/derivatives"), "dp") {
        let text = std::fs::read_to_string(&file).expect("a test");
        let lines: Vec<&str> = text.lines().collect();
        for (i, line) in lines.iter().enumerate() {
            let Some(row) = line.strip_prefix("# row: ") else { continue };
            let next = lines[i + 1..].iter().find(|line| !line.starts_with('#')).copied().unwrap_or("");
            let kept = ["print ", "assert ", "fn ", "let "].iter().any(|word| next.starts_with(word));
            assert!(kept && rows.iter().any(|known| known == row), "{}:{}: {row}", file.display(), i + 1);
            held.push(row.to_string());
        }
    }
    let open: Vec<&String> = rows.iter().filter(|row| !held.contains(row)).collect();
    assert!(open.is_empty(), "no test holds {open:#?}");
}
