//! Reads the textual form of Graphs.

use super::attributes::{Attribute, Read, kind};
use crate::ir::graph::{Eqn, Graph, Type, Var};
use crate::ir::verify::MAX_DEPTH;
use crate::prims;
use crate::source::Span;
use dp_runtime::tensor::{DType, Element, Tensor};
use std::collections::HashMap;
use std::rc::Rc;
use std::str::FromStr;

/// A Graph from its text, or what is wrong, with the line. Spans are `Span::NONE`.
pub fn parse(text: &str) -> Result<Graph, String> {
    let mut p = Parser { text, at: 0 };
    let graph = p.word("graph").and_then(|()| p.graph(0)).and_then(|graph| {
        p.blank();
        if p.at == text.len() { Ok(graph) } else { Err(format!("expected the end, found {}", p.found())) }
    });
    graph.map_err(|why| format!("line {}: {why}", 1 + text[..p.at].matches('\n').count()))
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn blank(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    /// What stands next, for messages.
    fn found(&mut self) -> String {
        match self.rest().split_whitespace().next() {
            Some(word) => format!("`{word}`"),
            None => "the end".to_string(),
        }
    }

    fn next_is(&mut self, mark: &str) -> bool {
        self.blank();
        self.rest().starts_with(mark)
    }

    fn accept(&mut self, mark: &str) -> bool {
        let here = self.next_is(mark);
        if here {
            self.at += mark.len();
        }
        here
    }

    fn expect(&mut self, mark: &str) -> Result<(), String> {
        if self.accept(mark) {
            return Ok(());
        }
        if self.rest().is_empty() {
            return Err(format!("the text ends where `{mark}` should stand"));
        }
        Err(format!("expected `{mark}`, found {}", self.found()))
    }

    /// The longest run of characters of names and numbers.
    fn token(&mut self) -> Result<&'a str, String> {
        self.blank();
        let rest = self.rest();
        let part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.' || c == '-' || c == '+';
        let length = rest.find(|c| !part(c)).unwrap_or(rest.len());
        if length == 0 {
            if rest.is_empty() {
                return Err("the text ends too early".to_string());
            }
            return Err(format!("expected a name or a number, found {}", self.found()));
        }
        self.at += length;
        Ok(&rest[..length])
    }

    fn word(&mut self, word: &str) -> Result<(), String> {
        let found = self.token()?;
        if found == word { Ok(()) } else { Err(format!("expected `{word}`, found `{found}`")) }
    }

    fn size(&mut self) -> Result<usize, String> {
        let token = self.token()?;
        token.parse().map_err(|_| format!("a size, not `{token}`, should stand here"))
    }

    /// Items between commas until a closing mark, which is taken.
    fn list<T>(&mut self, close: &str, mut item: impl FnMut(&mut Self) -> Result<T, String>) -> Result<Vec<T>, String> {
        let mut items = Vec::new();
        if self.accept(close) {
            return Ok(items);
        }
        loop {
            items.push(item(self)?);
            if self.accept(close) {
                return Ok(items);
            }
            self.expect(",")?;
        }
    }

    fn ty(&mut self) -> Result<Type, String> {
        let dtype = kind(self.token()?)?;
        let shape = if self.accept("[") { self.list("]", Self::size)? } else { Vec::new() };
        prims::shape::sized(dtype, shape)
    }

    /// Parameters and the block: what follows the label.
    fn graph(&mut self, depth: usize) -> Result<Graph, String> {
        if depth > MAX_DEPTH {
            return Err(format!("Graphs nest more than {MAX_DEPTH} deep"));
        }
        let mut graph = Graph::default();
        let mut names: HashMap<&str, Var> = HashMap::new();
        self.expect("(")?;
        for (name, ty) in self.list(")", Self::typed)? {
            let var = graph.add_param(ty);
            define(&mut names, name, var)?;
        }
        self.expect("{")?;
        loop {
            let start = self.at;
            if !self.next_is("(") && self.token()? == "return" {
                break;
            }
            self.at = start;
            self.equation(&mut graph, &mut names, depth)?;
        }
        graph.results = self.list("}", |p| lookup(&names, p.token()?))?;
        Ok(graph)
    }

    fn typed(&mut self) -> Result<(&'a str, Type), String> {
        let name = self.token()?;
        self.expect(":")?;
        Ok((name, self.ty()?))
    }

    fn equation(&mut self, graph: &mut Graph, names: &mut HashMap<&'a str, Var>, depth: usize) -> Result<(), String> {
        let mut typed = Vec::new();
        if self.accept("(") {
            self.expect(")")?;
        } else {
            typed.push(self.typed()?);
            while self.accept(",") {
                typed.push(self.typed()?);
            }
        }
        self.expect("=")?;
        let name = self.token()?;
        let attributes = if self.accept("[") { self.list("]", Self::attribute)? } else { Vec::new() };
        self.expect("(")?;
        let args = self.list(")", |p| lookup(names, p.token()?))?;
        let end = self.at;
        let mut bodies = Vec::new();
        loop {
            let start = self.at;
            let label = if self.next_is("}") || self.next_is("(") { "" } else { self.token()? };
            if !matches!(label, "body" | "then" | "otherwise" | "tangent" | "operator" | "adjoint" | "turned")
                || !self.next_is("(")
            {
                self.at = start;
                break;
            }
            bodies.push((label.to_string(), Rc::new(self.graph(depth + 1)?)));
        }
        let next = self.at;
        // Mistakes below are of the line on which the operands stand.
        self.at = end;
        let op = Read { name, attributes, bodies }.op()?;
        let types: Vec<&Type> = args.iter().map(|&arg| graph.ty(arg)).collect();
        let expected = prims::result(&op, &types).map_err(|why| format!("`{name}`: {why}"))?;
        if !expected.iter().eq(typed.iter().map(|(_, ty)| ty)) {
            let expected: Vec<String> = expected.iter().map(Type::to_string).collect();
            return Err(format!("`{name}` gives ({})", expected.join(", ")));
        }
        let mut outs = Vec::new();
        for (name, ty) in typed {
            let out = graph.fresh(ty);
            define(names, name, out)?;
            outs.push(out);
        }
        graph.eqns.push(Eqn { op, args, outs, span: Span::NONE });
        self.at = next;
        Ok(())
    }

    fn attribute(&mut self) -> Result<(String, Attribute), String> {
        let key = self.token()?.to_string();
        self.expect("=")?;
        let value = if self.accept("[") {
            Attribute::List(self.list("]", Self::size)?)
        } else if self.next_is("\"") {
            Attribute::Text(self.quoted()?)
        } else if key == "value" {
            Attribute::Value(self.tensor()?)
        } else {
            let token = self.token()?;
            match token.parse() {
                Ok(number) => Attribute::Number(number),
                Err(_) => Attribute::Word(token.to_string()),
            }
        };
        Ok((key, value))
    }

    fn quoted(&mut self) -> Result<String, String> {
        self.expect("\"")?;
        let mut text = String::new();
        let mut chars = self.rest().char_indices();
        while let Some((offset, c)) = chars.next() {
            match c {
                '"' => {
                    self.at += offset + 1;
                    return Ok(text);
                }
                '\\' => match chars.next() {
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, 't')) => text.push('\t'),
                    Some((_, c)) => text.push(c),
                    None => break,
                },
                c => text.push(c),
            }
        }
        Err("the text ends in a quotation".to_string())
    }

    fn tensor(&mut self) -> Result<Tensor, String> {
        let ty = self.ty()?;
        self.expect("{")?;
        match ty.dtype {
            DType::F32 => self.elements::<f32>(&ty),
            DType::F64 => self.elements::<f64>(&ty),
            DType::I64 => self.elements::<i64>(&ty),
            DType::Bool => self.elements::<bool>(&ty),
            DType::Key => self.elements::<u64>(&ty),
        }
    }

    fn elements<T: Element + FromStr>(&mut self, ty: &Type) -> Result<Tensor, String> {
        let data: Vec<T> = self.list("}", |p| {
            let token = p.token()?;
            token.parse().map_err(|_| format!("`{token}` is no {}", ty.dtype.name()))
        })?;
        if data.len() != ty.len() {
            return Err(format!("{ty} has {} elements, not {}", ty.len(), data.len()));
        }
        Ok(Tensor::from_vec(&ty.shape, data))
    }
}

fn define<'a>(names: &mut HashMap<&'a str, Var>, name: &'a str, var: Var) -> Result<(), String> {
    match names.insert(name, var) {
        None => Ok(()),
        Some(_) => Err(format!("`{name}` is defined twice")),
    }
}

fn lookup(names: &HashMap<&str, Var>, name: &str) -> Result<Var, String> {
    names.get(name).copied().ok_or_else(|| format!("`{name}` is not defined"))
}
