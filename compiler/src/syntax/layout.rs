//! Newlines, brackets, soft words, comments: everything that is settled on the tokens, before parsing.
//!
//! The result has no comments and no newlines: `End` stands between two items, statements or clauses and nowhere
//! else, brackets are balanced, nesting is bounded, and the file is cut into items. So the parser needs no care for
//! depth, and a wrong item never hides a later one.
//!
//! A newline is a blank (N1) inside `(` or `[`, (N2) after a token that wants more, (N3) before a token that goes
//! on; otherwise (N4) it is an `End`. A line that begins with `let`, `for`, `fn NAME` or an item word with its name
//! always starts anew.

use super::ast::Trivia;
use super::token::{Token, Word};
use crate::diagnostic::Diagnostic;
use crate::source::Span;
use std::collections::HashMap;
use std::ops::Range;

/// How deep brackets, and the tree that comes of a text, may be.
pub const MAX_DEPTH: u32 = 256;

/// A file's tokens, ready to be parsed item by item.
pub struct Layout<'s> {
    pub tokens: Vec<(Token<'s>, Span)>,
    pub items: Vec<Item>,
    /// Comments and blank lines, by the offset at which an item, statement or clause starts.
    pub around: HashMap<u32, Around>,
    /// What follows the last item.
    pub end: Trivia,
    /// Offsets of mistakes that were reported here: the parser need not complain about their lines again.
    pub damage: Vec<u32>,
}

/// The tokens of one item, without the `End` after it.
pub struct Item {
    pub range: Range<usize>,
    /// Nested too deeply to be parsed; reported.
    pub refused: bool,
}

/// What stands around an item, statement or clause.
#[derive(Clone, Default, Debug)]
pub struct Around {
    pub trivia: Trivia,
    /// Lines of `##` before it.
    pub doc: Vec<String>,
}

/// A token that is neither a newline nor a comment, with what stood before it.
struct Piece<'s> {
    token: Token<'s>,
    span: Span,
    comments: Vec<Comment<'s>>,
    newline: bool,
    /// An empty line stood before it and its comments.
    blank_line: bool,
    /// An empty line stood after a comment on a line of its own.
    blank_after: bool,
    /// Bytes from the start of its line.
    column: u32,
}

struct Comment<'s> {
    text: &'s str,
    /// Nothing but blanks before it on its line.
    own_line: bool,
}

/// Lays out the tokens of one file of the given length. Reports E0205 (nesting) and E0206 (brackets).
pub fn layout<'s>(tokens: &[(Token<'s>, Span)], end: Span, diagnostics: &mut Vec<Diagnostic>) -> Layout<'s> {
    let mut pieces = pieces(tokens, end);
    mark_words(&mut pieces);
    let mut first = Vec::new();
    let (layout, open_brace) = arrange(&pieces, false, &mut first);
    if !open_brace {
        diagnostics.append(&mut first);
        return layout;
    }
    // Some `{` is never closed. Indentation tells where its block was meant to end.
    arrange(&pieces, true, diagnostics).0
}

/// Drops newlines and comments, keeping notes of them. The last piece is an `End` that stands for the end of the file.
fn pieces<'s>(tokens: &[(Token<'s>, Span)], end: Span) -> Vec<Piece<'s>> {
    let mut pieces = Vec::with_capacity(tokens.len() + 1);
    let mut comments = Vec::new();
    let mut newlines = 0;
    let mut in_a_row = 0;
    let mut blank_line = false;
    let mut blank_after = false;
    let mut line_start = 0;
    let mut column = None;
    for &(token, span) in tokens.iter().chain([&(Token::End, end)]) {
        match token {
            Token::Newline => {
                newlines += 1;
                in_a_row += 1;
                let commented = comments.iter().any(|c: &Comment| c.own_line);
                blank_line |= in_a_row > 1 && !commented;
                blank_after |= in_a_row > 1 && commented;
                line_start = span.end;
                column = None;
            }
            Token::Comment(text) => {
                comments.push(Comment { text, own_line: newlines > 0 || pieces.is_empty() });
                in_a_row = 0;
            }
            token => {
                let column = *column.get_or_insert(span.start - line_start);
                let comments = std::mem::take(&mut comments);
                let newline = newlines > 0;
                pieces.push(Piece { token, span, comments, newline, blank_line, blank_after, column });
                (newlines, in_a_row, blank_line, blank_after) = (0, 0, false, false);
            }
        }
    }
    pieces
}

/// Makes `Word`s of the names that are soft words.
fn mark_words(pieces: &mut [Piece]) {
    for i in 0..pieces.len() {
        let Token::Name(text) = pieces[i].token else { continue };
        let Some(word) = Word::find(text) else { continue };
        let next = match pieces.get(i + 1) {
            Some(next) if !next.newline => Some(next.token),
            _ => None,
        };
        let mut operand = next.is_some_and(Token::starts_operand);
        if matches!(word, Word::Print | Word::Assert) {
            let first = i == 0 || pieces[i].newline || matches!(pieces[i - 1].token, Token::Semicolon | Token::LBrace);
            let bracket = matches!(next, Some(Token::LParen | Token::LBracket | Token::LBrace | Token::Minus));
            operand |= first && bracket;
        }
        // A call of what is derived on the spot: `unroll (derive P)(x) for K`.
        if matches!(word, Word::Unroll | Word::Implicit | Word::Trace) && next == Some(Token::LParen) {
            let derives = pieces.get(i + 2).is_some_and(|inner| inner.token == Token::Name(Word::Derive.text()));
            operand = derives && pieces.get(i + 3).is_some_and(|problem| problem.token.starts_operand());
        }
        pieces[i].token = if operand { Token::Keyword(word) } else { Token::Word(word) };
    }
}

/// An open bracket, or the file (which has none).
struct Frame<'s> {
    open: Option<(Token<'s>, Span)>,
    /// A `{` that holds statements (a record does not), or the file.
    statements: bool,
    /// A `{` that holds items, or the file.
    items: bool,
    /// The statement being read is a `test`, `for` or `if`, whose braces hold items.
    opens_items: bool,
    /// Offset and column of the start of the statement being read.
    statement: Option<(u32, u32)>,
    /// The statement that opened the bracket.
    owner: Option<(u32, u32)>,
    /// The statement before the one being read.
    last_statement: Option<(u32, u32)>,
    nesting: Nesting,
}

impl<'s> Frame<'s> {
    fn new(open: Option<(Token<'s>, Span)>, statements: bool, items: bool, owner: Option<(u32, u32)>) -> Frame<'s> {
        Frame {
            open,
            statements,
            items,
            opens_items: false,
            statement: None,
            owner,
            last_statement: None,
            nesting: Nesting::default(),
        }
    }

    /// Offset and column of the innermost statement around the next token.
    fn current(&self) -> Option<(u32, u32)> {
        self.statement.or(self.owner)
    }

    /// Column of the statement that opened the bracket.
    fn column(&self) -> u32 {
        self.owner.map_or(0, |(_, column)| column)
    }
}

/// An upper bound of the height of the tree that the tokens inside one bracket make.
#[derive(Clone, Copy, Default)]
struct Nesting {
    /// Forms that extend to the right, since the last comma or `End`: `if`, `fn`, `not`.
    open_forms: u32,
    /// Operators that nest, in the operand being read: prefix `-`, `^`, `@` and postfix forms.
    operators: u32,
    most_operators: u32,
    /// The highest bracket since the last comma or `End`.
    inner: u32,
    highest: u32,
}

impl Nesting {
    fn height(&self) -> u32 {
        self.highest.max(self.open_forms + self.most_operators + self.inner)
    }

    fn operator(&mut self) {
        self.operators += 1;
        self.most_operators = self.most_operators.max(self.operators);
    }

    fn form(&mut self) {
        self.open_forms += 1;
        self.operators = 0;
    }

    fn take(&mut self, token: Token, after_operand: bool) {
        match token {
            Token::Minus if !after_operand => self.operator(),
            Token::Caret | Token::At | Token::Prime | Token::Dot => self.operator(),
            Token::LParen | Token::LBracket if after_operand => self.operator(),
            Token::If | Token::Fn | Token::Not | Token::Arrow => self.form(),
            Token::Comma | Token::Semicolon | Token::Assign => self.next_part(),
            Token::Then | Token::Else | Token::For | Token::In | Token::Until | Token::Eq => self.operators = 0,
            token if token.is_binary_operator() => self.operators = 0,
            _ => {}
        }
    }

    fn next_part(&mut self) {
        *self = Nesting { highest: self.height(), ..Nesting::default() };
    }
}

/// State of `arrange`.
struct Arranger<'s, 'd> {
    result: Layout<'s>,
    frames: Vec<Frame<'s>>,
    item_start: usize,
    refused: bool,
    /// Some `{` was closed for want of text.
    open_brace: bool,
    diagnostics: &'d mut Vec<Diagnostic>,
}

/// One pass over the pieces. Also says whether a `{` was still open at the end.
fn arrange<'s>(pieces: &[Piece<'s>], by_indentation: bool, diagnostics: &mut Vec<Diagnostic>) -> (Layout<'s>, bool) {
    let result = Layout {
        tokens: Vec::with_capacity(pieces.len()),
        items: Vec::new(),
        around: HashMap::new(),
        end: Trivia::default(),
        damage: Vec::new(),
    };
    let frames = vec![Frame::new(None, true, true, None)];
    let mut a = Arranger { result, frames, item_start: 0, refused: false, open_brace: false, diagnostics };
    let (last, before) = pieces.split_last().expect("internal error: the end of the file is a piece");
    for (i, piece) in before.iter().enumerate() {
        if piece.newline {
            a.newline(pieces, i, by_indentation);
        }
        a.attach_comments(piece);
        a.token(pieces, i);
    }
    a.close_until(1, last.span, None);
    a.end(last.span);
    a.attach_comments_at_end(last);
    (a.result, a.open_brace)
}

/// N2: the token before the newline wants more.
pub fn wants_more(token: Token) -> bool {
    match token {
        Token::Comma | Token::Eq | Token::Assign | Token::Arrow | Token::Colon | Token::Dot => true,
        Token::LParen | Token::LBracket | Token::LBrace => true,
        Token::Let | Token::Fn | Token::If | Token::Then | Token::Else | Token::For | Token::In => true,
        Token::Loop | Token::Until | Token::Each | Token::Not => true,
        token => token.is_binary_operator(),
    }
}

/// N3: the token after the newline goes on with the line before.
fn goes_on(piece: &Piece, next: Option<&Piece>) -> bool {
    match piece.token {
        Token::Minus => false,
        Token::Dot | Token::Comma | Token::RParen | Token::RBracket | Token::Then | Token::Else => true,
        Token::Keyword(Word::Learn | Word::By | Word::As | Word::From) => true,
        Token::Word(Word::Learn | Word::By | Word::As | Word::From) => {
            // A name at the start of a line may be spelled like these; then an operator follows.
            next.is_some_and(|n| !n.newline && matches!(n.token, Token::Each | Token::LParen | Token::LBracket))
        }
        token => token.is_binary_operator(),
    }
}

/// Whether a line that begins with this piece starts an item or statement, whatever stands before it.
fn starts_item(piece: &Piece, next: Option<&Piece>) -> bool {
    let name_follows = next.is_some_and(|n| !n.newline && n.token.name().is_some());
    match piece.token {
        Token::Let => true,
        Token::For => true,
        Token::Fn => name_follows,
        Token::Keyword(word) => match word {
            Word::Use | Word::Precision | Word::Arg | Word::Problem | Word::Method | Word::Solver => name_follows,
            Word::Network | Word::Prox | Word::Derivative | Word::Param | Word::State => name_follows,
            Word::Test => next.is_some_and(|n| !n.newline && matches!(n.token, Token::Str(_))),
            Word::Print | Word::Assert => next.is_some_and(|n| !n.newline && n.token.starts_operand()),
            _ => false,
        },
        _ => false,
    }
}

/// Of the tokens that start items, those that cannot stand in a block.
fn starts_definition(token: Token) -> bool {
    match token {
        Token::Fn => true,
        Token::Keyword(word) => !matches!(word, Word::Param | Word::State | Word::Print | Word::Assert),
        _ => false,
    }
}

fn closes(token: Token) -> bool {
    matches!(token, Token::RParen | Token::RBracket | Token::RBrace)
}

fn closer<'s>(open: Token) -> Token<'s> {
    match open {
        Token::LParen => Token::RParen,
        Token::LBracket => Token::RBracket,
        _ => Token::RBrace,
    }
}

impl<'s> Arranger<'s, '_> {
    fn frame(&mut self) -> &mut Frame<'s> {
        self.frames.last_mut().expect("internal error: the frame of the file is never closed")
    }

    fn innermost_is_round(&self) -> bool {
        matches!(self.frames.last(), Some(Frame { open: Some((Token::LParen | Token::LBracket, _)), .. }))
    }

    /// The number of frames up to the innermost that holds statements.
    fn depth_of_statements(&self) -> usize {
        self.frames.iter().rposition(|f| f.statements).map_or(1, |i| i + 1)
    }

    /// The number of frames that a line indented this far can belong to. A definition may stand in items anywhere.
    fn depth_by_column(&self, column: u32, definition: bool) -> usize {
        let open_brace = |f: &Frame| matches!(f.open, Some((Token::LBrace, _)));
        let holds = |f: &Frame| f.column() < column || (definition && f.items);
        let outer = self.frames.iter().position(|f| open_brace(f) && !holds(f));
        outer.unwrap_or(self.frames.len())
    }

    /// Decides what the newline before piece `i` is.
    fn newline(&mut self, pieces: &[Piece<'s>], i: usize, by_indentation: bool) {
        let piece = &pieces[i];
        let starts_anew = starts_item(piece, pieces.get(i + 1));
        if starts_anew && piece.token != Token::For && self.innermost_is_round() {
            let depth = self.depth_of_statements();
            self.close_until(depth, piece.span, Some("a new statement begins here"));
        }
        let misplaced = starts_anew && starts_definition(piece.token) && !self.frame().items;
        if (by_indentation || misplaced) && !closes(piece.token) {
            let depth = self.depth_by_column(piece.column, misplaced);
            self.close_until(depth, piece.span, Some("this line is not indented as a part of it"));
        }
        if self.innermost_is_round() {
            return;
        }
        let wanted = i > 0 && wants_more(pieces[i - 1].token);
        if starts_anew || !(wanted || goes_on(piece, pieces.get(i + 1))) {
            self.end(piece.span);
        }
    }

    /// Ends the statement being read, if there is one.
    fn end(&mut self, at: Span) {
        let frame = self.frame();
        frame.nesting.next_part();
        frame.last_statement = frame.statement.take().or(frame.last_statement);
        let separates = match self.result.tokens.last() {
            None | Some((Token::End | Token::LBrace | Token::RecordBrace, _)) => false,
            Some(_) => true,
        };
        if !separates {
            return;
        }
        let end = self.end_of_text(at);
        if self.frames.len() == 1 {
            let range = self.item_start..self.result.tokens.len();
            self.result.items.push(Item { range, refused: self.refused });
            self.item_start = self.result.tokens.len() + 1;
            self.refused = false;
        }
        self.result.tokens.push((Token::End, end));
    }

    /// The empty place after the last token.
    fn end_of_text(&self, at: Span) -> Span {
        match self.result.tokens.last() {
            Some((_, span)) => Span { start: span.end, ..*span },
            None => Span { end: at.start, ..at },
        }
    }

    /// Closes what is open beyond this number of frames, and reports it.
    fn close_until(&mut self, depth: usize, at: Span, reason: Option<&str>) {
        if self.frames.len() <= depth {
            return;
        }
        let open: Vec<(Token, Span)> = self.frames[depth..].iter().filter_map(|f| f.open).collect();
        let (token, span) = open[0];
        let mut diagnostic = Diagnostic::error("E0206", span, format!("this {token} is never closed"));
        for (token, span) in open.iter().skip(1).take(2) {
            diagnostic = diagnostic.label(*span, format!("nor is this {token}"));
        }
        if let Some(reason) = reason {
            diagnostic = diagnostic.label(at, reason);
        }
        self.diagnostics.push(diagnostic);
        self.open_brace |= reason.is_none() && open.iter().any(|(token, _)| *token == Token::LBrace);
        self.result.damage.extend(open.iter().map(|(_, span)| span.start));
        while self.frames.len() > depth {
            let end = self.end_of_text(at);
            self.result.damage.push(end.start);
            self.close(end);
        }
    }

    /// Closes the innermost bracket with the token that fits.
    fn close(&mut self, span: Span) {
        let Some(Frame { open: Some((open, _)), nesting, .. }) = self.frames.pop() else {
            panic!("internal error: the frame of the file is never closed");
        };
        if let Some((Token::End, _)) = self.result.tokens.last() {
            self.result.tokens.pop();
        }
        self.result.tokens.push((closer(open), span));
        let height = nesting.height() + 1;
        let outer = &mut self.frame().nesting;
        outer.inner = outer.inner.max(height);
        self.limit(span);
    }

    /// Takes over a closing bracket of the text.
    fn closing(&mut self, token: Token<'s>, span: Span) {
        let fits = |f: &Frame| f.open.is_some_and(|(open, _)| closer(open) == token);
        if let Some(i) = self.frames.iter().rposition(fits) {
            self.close_until(i + 1, span, Some("an outer bracket is closed here"));
            self.close(span);
            return;
        }
        self.result.damage.push(span.start);
        let round = self.innermost_is_round();
        match self.frame().open {
            Some((open, place)) if round => {
                let message = format!("{open} is closed by {token}");
                let help = format!("write {}", closer(open));
                self.diagnostics.push(Diagnostic::error("E0206", span, message).label(place, "opened here").help(help));
                self.close(span);
            }
            _ => self.diagnostics.push(Diagnostic::error("E0206", span, format!("this {token} closes nothing"))),
        }
    }

    /// Refuses the item if it is nested too deeply at this place.
    fn limit(&mut self, span: Span) {
        let depth = self.frames.len() as u32 - 1;
        let height = self.frame().nesting.height();
        if depth.max(height) > MAX_DEPTH && !self.refused {
            self.refused = true;
            let message = format!("this is nested too deeply: more than {MAX_DEPTH} levels");
            let help = "give parts of it names with `let`";
            self.diagnostics.push(Diagnostic::error("E0205", span, message).here("one level too many").help(help));
        }
    }

    /// Takes over piece `i`, matching brackets.
    fn token(&mut self, pieces: &[Piece<'s>], i: usize) {
        let Piece { token, span, column, .. } = pieces[i];
        // Inside `(` it is part of `prox f(args; t)`.
        if token == Token::Semicolon && !self.innermost_is_round() {
            self.end(span);
            return;
        }
        if closes(token) {
            self.closing(token, span);
            return;
        }
        let after_operand = self.result.tokens.last().is_some_and(|(before, _)| before.ends_operand());
        let frame = self.frame();
        if frame.statements && frame.statement.is_none() {
            frame.statement = Some((span.start, column));
            frame.opens_items = frame.items && matches!(token, Token::For | Token::If | Token::Keyword(Word::Test));
        }
        frame.nesting.take(token, after_operand);
        if matches!(token, Token::LParen | Token::LBracket | Token::LBrace) {
            let record = match (pieces.get(i + 1), pieces.get(i + 2)) {
                (Some(name), Some(colon)) => name.token.name().is_some() && colon.token == Token::Colon,
                _ => false,
            };
            let statements = token == Token::LBrace && !record;
            let (items, owner) = (statements && self.frame().opens_items, self.frame().current());
            self.frames.push(Frame::new(Some((token, span)), statements, items, owner));
            if token == Token::LBrace && record {
                self.result.tokens.push((Token::RecordBrace, span));
                self.limit(span);
                return;
            }
        }
        self.result.tokens.push((token, span));
        self.limit(span);
    }

    /// Gives the comments before a piece to the statements that they belong to.
    fn attach_comments(&mut self, piece: &Piece) {
        let frame = self.frame();
        let begins = frame.statements && frame.statement.is_none();
        let before = frame.last_statement;
        let current = frame.current().map(|(start, _)| start);
        let after_brace = matches!(self.result.tokens.last(), Some((Token::LBrace, _)));
        let is_first = after_brace || self.result.tokens.is_empty();
        let around = &mut self.result.around;
        if begins && piece.blank_line && !is_first && !closes(piece.token) {
            around.entry(piece.span.start).or_default().trivia.blank_before = true;
        }
        for comment in &piece.comments {
            match (begins, before, current) {
                (true, _, Some(owner)) if !comment.own_line && after_brace => {
                    let opening = &mut around.entry(owner).or_default().trivia.opening;
                    match opening {
                        None => *opening = Some(plain(comment.text)),
                        Some(_) => around.entry(piece.span.start).or_default().comment(comment.text),
                    }
                }
                (true, Some((before, _)), _) if !comment.own_line => {
                    around.entry(before).or_default().trivia.trailing = Some(plain(comment.text));
                }
                (true, _, Some(owner)) if closes(piece.token) => {
                    around.entry(owner).or_default().trivia.closing.push(plain(comment.text));
                }
                (true, ..) | (false, _, None) => around.entry(piece.span.start).or_default().comment(comment.text),
                // Inside an expression no comment can stay.
                (false, _, Some(owner)) => around.entry(owner).or_default().comment(comment.text),
            }
        }
        if piece.blank_after && begins {
            let trivia = &mut around.entry(piece.span.start).or_default().trivia;
            trivia.blank_after_comments = !trivia.comments.is_empty();
        }
    }

    fn attach_comments_at_end(&mut self, end: &Piece) {
        let before = self.frame().last_statement;
        self.result.end.blank_before = end.blank_line && before.is_some();
        for comment in &end.comments {
            match before {
                Some((before, _)) if !comment.own_line => {
                    self.result.around.entry(before).or_default().trivia.trailing = Some(plain(comment.text));
                }
                _ => self.result.end.comments.push(plain(comment.text)),
            }
        }
    }
}

impl Around {
    /// Adds a comment line before a statement.
    fn comment(&mut self, text: &str) {
        match text.strip_prefix("##") {
            Some(doc) if !doc.starts_with('#') => {
                let doc = doc.trim_end();
                self.doc.push(doc.strip_prefix(' ').unwrap_or(doc).to_string());
            }
            _ => self.trivia.comments.push(plain(text)),
        }
    }
}

/// A comment without its mark, one blank after it, and blanks at its end; an expectation `#= ...` with its mark and inner blanks.
fn plain(text: &str) -> String {
    if text.starts_with("#=") && !text.starts_with("#==") {
        return text.trim_end().to_string();
    }
    let text = text.trim_start_matches('#').trim_end();
    text.strip_prefix(' ').unwrap_or(text).to_string()
}
