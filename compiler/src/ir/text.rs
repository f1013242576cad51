//! The textual form of Graphs, for people and for tests.
//!
//! ```text
//! graph(v0: f64[3,4], v1: f64[4,1]) {
//!   v2: f64[3,1] = dot[batch=0](v0, v1)
//!   v3: f64[3,1] = scan[consts=0, carries=1, cap=2, trips=all, reverse=false](v2) body(v0: f64[3,1], v1: i64) {
//!     v2: f64[3,1] = neg(v0)
//!     return v2
//!   }
//!   return v3
//! }
//! ```
//!
//! Variables are numbered in the order of their definition, in each Graph from 0; spans are not printed. What `print`
//! gives, `parse` reads back to a Graph that prints the same.

pub mod attributes;
mod parse;

pub use parse::parse;

use super::graph::{Graph, Type, Var};
use crate::prims;
use attributes::{Attribute, attributes, labels};
use std::fmt;

impl fmt::Display for Type {
    /// `f64[3,4]`, and `f64` for a scalar.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.dtype.name())?;
        if self.shape.is_empty() {
            return Ok(());
        }
        let sizes: Vec<String> = self.shape.iter().map(usize::to_string).collect();
        write!(f, "[{}]", sizes.join(","))
    }
}

/// The whole Graph.
pub fn print(graph: &Graph) -> String {
    printed(graph, usize::MAX)
}

/// The Graph for people: of constants with more than eight elements only the first few are shown, so that `parse` may
/// not read it.
pub fn print_brief(graph: &Graph) -> String {
    printed(graph, 8)
}

fn printed(graph: &Graph, elements: usize) -> String {
    let mut text = String::new();
    write_graph(&mut text, "graph", graph, 0, elements);
    text.push('\n');
    text
}

fn write_graph(text: &mut String, label: &str, graph: &Graph, depth: usize, elements: usize) {
    let mut names = Names { numbers: vec![None; graph.types.len()], count: 0 };
    let params: Vec<String> = graph.params.iter().map(|&param| names.define(graph, param)).collect();
    let indent = "  ".repeat(depth + 1);
    text.push_str(&format!("{label}({}) {{\n", params.join(", ")));
    for eqn in &graph.eqns {
        let args: Vec<String> = eqn.args.iter().map(|&arg| names.of(arg)).collect();
        let outs: Vec<String> = eqn.outs.iter().map(|&out| names.define(graph, out)).collect();
        let outs = if outs.is_empty() { "()".to_string() } else { outs.join(", ") };
        let list: Vec<String> =
            attributes(&eqn.op).into_iter().map(|(key, value)| written(key, &value, elements)).collect();
        let list = if list.is_empty() { String::new() } else { format!("[{}]", list.join(", ")) };
        text.push_str(&format!("{indent}{outs} = {}{list}({})", prims::name(&eqn.op), args.join(", ")));
        for (label, body) in labels(&eqn.op).iter().zip(eqn.op.subgraphs()) {
            text.push(' ');
            write_graph(text, label, body, depth + 1, elements);
        }
        text.push('\n');
    }
    let results: Vec<String> = graph.results.iter().map(|&result| names.of(result)).collect();
    text.push_str(&format!("{indent}return {}\n{}}}", results.join(", "), "  ".repeat(depth)));
}

fn written(key: &str, value: &Attribute, elements: usize) -> String {
    match value {
        Attribute::Word(word) => format!("{key}={word}"),
        Attribute::Number(n) => format!("{key}={n}"),
        Attribute::List(list) => {
            let list: Vec<String> = list.iter().map(usize::to_string).collect();
            format!("{key}=[{}]", list.join(","))
        }
        Attribute::Text(text) => format!("{key}={text:?}"),
        Attribute::Value(tensor) => {
            let mut list = attributes::elements(tensor, elements);
            if tensor.len() > elements {
                list.push("...".to_string());
            }
            format!("{key}={} {{{}}}", Type::of(tensor), list.join(", "))
        }
    }
}

/// The printed numbers of the variables that are defined so far.
struct Names {
    numbers: Vec<Option<usize>>,
    count: usize,
}

impl Names {
    fn define(&mut self, graph: &Graph, var: Var) -> String {
        self.numbers[var.0 as usize] = Some(self.count);
        self.count += 1;
        format!("v{}: {}", self.count - 1, graph.ty(var))
    }

    /// A question mark if a broken Graph is printed.
    fn of(&self, var: Var) -> String {
        match self.numbers.get(var.0 as usize) {
            Some(Some(number)) => format!("v{number}"),
            Some(None) | None => format!("?{}", var.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::builder::Builder;
    use crate::ir::eval::eval;
    use crate::ir::verify::verify;
    use crate::prims::sample::{Rng, same};
    use dp_runtime::tensor::Tensor;

    #[test]
    fn every_primitive_is_read_back_as_it_was_printed() {
        let mut rng = Rng::new(1);
        for row in prims::rows() {
            let mut uses = vec![(row.sample)(&mut rng), (row.sample)(&mut rng)];
            uses.extend((row.special)());
            for (op, args) in uses {
                let mut b = Builder::default();
                let params: Vec<Var> = args.iter().map(|arg| b.param(Type::of(arg))).collect();
                let outs = b.emit(op, &params);
                let graph = b.finish(outs);
                let text = print(&graph);
                let back = parse(&text).unwrap_or_else(|why| panic!("{why}\n{text}"));
                verify(&back).unwrap_or_else(|why| panic!("{why}\n{text}"));
                assert_eq!(print(&back), text);
                let (here, there) = (eval(&graph, &args), eval(&back, &args));
                let (here, there) = (here.expect("no fault"), there.expect("no fault"));
                assert!(here.iter().zip(&there).all(|(a, b)| same(a, b)), "{text}");
            }
        }
    }

    #[test]
    fn text_is_read_as_written() {
        let text = "graph(a: f64[2], n: i64) {\n  b: f64[2] = mul(a, a)\n  c: f64[2] = scan[consts=0, carries=1, cap=3, \
                    trips=input, reverse=false](b, n) body(x: f64[2], k: i64) { y: f64[2] = add(x, x) return y }\n  return c, n\n}";
        let graph = parse(text).expect("it is well written");
        verify(&graph).expect("it is well typed");
        let results = eval(&graph, &[Tensor::from_vec(&[2], vec![1.0, 3.0]), Tensor::scalar(2i64)]).expect("no fault");
        assert_eq!(results[0].as_slice::<f64>(), [4.0, 36.0]);
    }

    #[test]
    fn mistakes_are_reported_with_their_line() {
        for (text, why) in [
            ("graph(a: f64) { return b }", "line 1: `b` is not defined"),
            ("graph(a: f64) {\n c: f64 = neg(a, a)\n return c }", "line 2: `neg`: takes 1 operands, not 2"),
            ("graph(a: f64) {\n c: f32 = neg(a)\n return c }", "line 2: `neg` gives (f64)"),
            ("graph(a: f64) {\n c: f64 = frob(a)\n return c }", "line 2: no primitive `frob`"),
            ("graph(a: f64) { c: f64 = neg(a)", "line 1: the text ends"),
            ("graph(a: f64, a: f64) { return a }", "line 1: `a` is defined twice"),
            ("graph(a: f65) { return a }", "line 1: no element kind `f65`"),
            ("graph(a: f64[99999999999999999999]) { return a }", "line 1: a size, not"),
            ("graph(a: f64) { c: f64 = sum(a) return c }", "line 1: `sum` needs `axes`"),
            ("graph(a: f64) { return a } x", "line 1: expected the end"),
        ] {
            let found = parse(text).expect_err("it is wrong");
            assert!(found.starts_with(why), "{found}");
        }
    }

    #[test]
    fn brief_text_shows_the_first_elements_only() {
        let mut b = Builder::default();
        let c = b.constant(Tensor::from_vec(&[100], vec![0.5; 100]));
        let graph = b.finish(vec![c]);
        assert!(print_brief(&graph).contains("0.5, ...}"));
        assert!(print_brief(&graph).len() < 200);
    }
}
