//! Every code with its explanation, as `dp explain` shows it. Rows are in the order of the codes.

use super::Code;

/// One code: what the message means, and what to do.
pub struct Row {
    pub code: Code,
    pub title: &'static str,
    pub explanation: &'static str,
}

/// All codes.
pub const ROWS: &[Row] = &[
    Row {
        code: Code("E0201"),
        title: "unexpected text",
        explanation: "The text does not follow the grammar here. The message names what was found and what could stand \
            in its place. A statement ends with its line unless the line ends with an operator, a comma or an open \
            bracket, or the next line begins with an operator other than `-`. Forms that extend to the right (`if`, \
            `fn`, `unroll`, `trace`, `implicit`, `derive`, `train`) need parentheses as operands: \
            `assert a == (unroll f(x) for 3)`.",
    },
    Row {
        code: Code("E0202"),
        title: "unknown characters",
        explanation: "Some characters mean nothing in the language, or mean something in other languages only. Logical \
            operators are the words `and`, `or`, `not`; strings stand in straight double quotes; comments begin with \
            `#`.",
    },
    Row {
        code: Code("E0203"),
        title: "malformed number",
        explanation: "A number has digits on both sides of its point (`1.0`, `0.5`), may have an exponent (`1e-3`) and \
            underscores between digits (`1_000`). An integer fits into 64 bits, a real is finite.",
    },
    Row {
        code: Code("E0204"),
        title: "malformed string",
        explanation: "A string stands in double quotes on one line. Known escape sequences are `\\n`, `\\t`, `\\r`, \
            `\\\"`, `\\\\` and `\\u{3b8}` with the hexadecimal number of a character.",
    },
    Row {
        code: Code("E0205"),
        title: "nested too deeply",
        explanation: "Brackets, chains of prefix operators, of `^`, `@` or `else if`, and chains of calls or indices may \
            be nested 256 levels deep. Give parts of the expression names with `let`.",
    },
    Row {
        code: Code("E0206"),
        title: "brackets do not match",
        explanation: "Each `(`, `[` and `{` needs its closing bracket. Where one is missing, a line that begins with \
            `let` or with a definition ends an open `(` or `[`, and indentation tells where an open `{` was meant to \
            end.",
    },
    Row {
        code: Code("E0207"),
        title: "a statement that cannot stand here",
        explanation: "A block holds `let`s (in a network also `param`s, first) and ends with an expression, its value. \
            `step`, `loop` and `update` hold `let`s and assignments `state <- value`; a place that is assigned is a name \
            with indices and fields.",
    },
    Row {
        code: Code("E0208"),
        title: "unknown type",
        explanation: "Types are `real`, `int`, `bool`, `key` and `string`, arrays such as `real[m, n]`, tuples, records \
            `{ a: real }` and functions `fn(real[n]) -> real`. The precision of `real` is chosen for the whole run.",
    },
    Row {
        code: Code("E0209"),
        title: "a parameter without a type",
        explanation: "Parameters of functions, problems, solvers and networks have types; only those of `fn(x) = ...` \
            need none. A name in the dimensions of a type, as `n` in `real[n]`, stands for any size.",
    },
    Row {
        code: Code("E0210"),
        title: "a problem or solver with parts missing or misplaced",
        explanation: "A problem has `let`s, then `minimize over y: real[n]` (or `maximize`), the objective on the next \
            line, and perhaps `subject to` with constraints. A solver has `let`s, then `state`s with initial values, one \
            `step`, and perhaps `until`.",
    },
];

/// The row of a code such as `E0201`.
pub fn find(code: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.code.0 == code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_ascending_and_explained() {
        assert!(ROWS.windows(2).all(|pair| pair[0].code < pair[1].code));
        for row in ROWS {
            assert!(row.explanation.len() > 80 && !row.title.is_empty(), "{}", row.code.0);
        }
        assert_eq!(find("E0201").map(|row| row.title), Some("unexpected text"));
        assert!(find("E9999").is_none());
    }
}
