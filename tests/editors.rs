//! The files for editors know the words of the language.

use crate::harness::root;
use dp_compiler::repl::complete::RESERVED;
use dp_compiler::syntax::token::Word;
use serde_json::Value;

fn json(name: &str) -> Value {
    let path = root().join("docs/editors/vscode").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn the_grammar_for_colours_has_every_word() {
    let grammar = json("syntaxes/dp.tmLanguage.json");
    let text = grammar["repository"].to_string();
    let has = |word: &str| {
        let around = |c: Option<char>| matches!(c, Some('|' | '(' | ')'));
        text.match_indices(word)
            .any(|(at, _)| around(text[..at].chars().next_back()) && around(text[at + word.len()..].chars().next()))
    };
    for word in RESERVED.iter().copied().filter(|word| *word != "_").chain(Word::ALL.iter().map(|word| word.text())) {
        assert!(has(word), "`{word}` is not in the grammar");
    }
    let extension = json("package.json");
    assert_eq!(extension["contributes"]["grammars"][0]["scopeName"], grammar["scopeName"]);
    assert!(json("language-configuration.json")["brackets"].is_array());
}
