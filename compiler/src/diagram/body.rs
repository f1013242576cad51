//! Statements and loops: what is assigned, carried, and drawn for each layer.

use super::label::one_line;
use super::subject::{Form, Given};
use super::trace::{Bound, Source, Tracer};
use super::{Edge, Group, Kind, Layers};
use crate::syntax::ast::{Expr, ExprKind, Init, Let, LetKind, Loop, LoopKind, Stmt, StmtKind, Symbol};
use crate::types;

/// The passes of a solver or loop.
pub struct Passes<'a> {
    states: &'a [Init],
    body: &'a [Stmt],
    /// The number of passes if they are counted.
    count: Option<String>,
    /// What a pass is called.
    each: &'static str,
    counter: Symbol,
    note: String,
}

impl<'a> Passes<'a> {
    pub fn of_solver(form: &'a Form) -> Passes<'a> {
        let body = &form.decl.body;
        let until = match (&form.count, &body.until) {
            (None, Some(until)) => {
                let within = until.within.as_ref().map(|within| format!(" within {}", one_line(within)));
                format!("until {}{}", one_line(&until.cond), within.unwrap_or_default())
            }
            (Some(_), _) | (None, None) => String::new(),
        };
        let note =
            [until, form.remark.clone()].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ");
        let counter = body.counter.as_ref().map_or_else(|| "k".into(), |name| name.text.clone());
        Passes { states: &body.states, body: &body.step, count: form.count.clone(), each: "layer", counter, note }
    }
}

impl Tracer<'_> {
    pub fn statements(&mut self, stmts: &[Stmt]) {
        for stmt in stmts {
            match &stmt.kind {
                StmtKind::Let(binding) => self.binding(binding),
                StmtKind::Param(_) => {}
                StmtKind::Assign { place, value } => {
                    let name = place.root.text.clone();
                    if place.parts.is_empty() {
                        let bound = self.bound(value, &name);
                        match bound {
                            Some(bound) => self.data.insert(name, bound),
                            // A state that is set to what is known is nothing that is computed.
                            None => continue,
                        };
                    } else {
                        // A part of a state: the state goes in and comes out.
                        let path = one_line(&path_expr(place));
                        let mut inputs = Vec::new();
                        if let Some(Bound::One(source)) = self.data.get(&name) {
                            inputs.push(source.clone());
                        }
                        if self.depends(value) {
                            inputs.push(self.source(value));
                        }
                        let node = self.plain(Kind::Operation, format!("{path} <- ·"), String::new());
                        for input in inputs {
                            self.diagram.edges.push(Edge {
                                from: input.node,
                                to: node,
                                name: input.name,
                                carried: false,
                            });
                        }
                        self.data.insert(name.clone(), Bound::One(Source { node, name: name.to_string() }));
                    }
                }
            }
        }
    }

    /// A let: names for boxes; what does not depend on data is known, and what is learned is a parameter.
    pub fn binding(&mut self, binding: &Let) {
        match &binding.kind {
            LetKind::Inits(inits) => {
                for init in inits {
                    let name = &init.binder.name.text;
                    match self.bound(&init.value, name) {
                        Some(bound) if !self.is_learned(name) => self.data.insert(name.clone(), bound),
                        Some(_) | None => self.data.remove(name),
                    };
                }
            }
            LetKind::Tuple(names, value) => {
                let parts = match &value.kind {
                    ExprKind::Tuple(parts) if parts.len() == names.len() => parts.iter().collect(),
                    _ => Vec::new(),
                };
                let whole = if parts.is_empty() && self.depends(value) { Some(self.source(value)) } else { None };
                let mut bound = Vec::new();
                for (i, name) in names.iter().enumerate() {
                    let own = match (&whole, parts.get(i)) {
                        (Some(whole), _) => Some(Bound::One(Source { node: whole.node, name: name.text.to_string() })),
                        (None, Some(part)) => self.bound(part, &name.text),
                        (None, None) => None,
                    };
                    bound.push((name.text.clone(), own));
                }
                for (name, own) in bound {
                    match own {
                        Some(own) => self.data.insert(name, own),
                        None => self.data.remove(&name),
                    };
                }
            }
        }
    }

    pub fn is_learned(&self, name: &str) -> bool {
        self.learned.iter().any(|learned| learned.name == name)
    }

    /// What a name stands for from here on; nothing if it does not depend on data.
    fn bound(&mut self, value: &Expr, name: &str) -> Option<Bound> {
        if !self.depends(value) && !matches!(&value.kind, ExprKind::Loop(_)) {
            return None;
        }
        if let ExprKind::Name(other) = &value.kind
            && let Some(bound) = self.data.get(other)
        {
            return Some(bound.clone());
        }
        if let (ExprKind::Loop(inner), None) = (&value.kind, self.group) {
            return Some(self.loop_value(inner));
        }
        if !self.depends(value) {
            return None;
        }
        let source = self.source(value);
        Some(Bound::One(Source { node: source.node, name: name.to_string() }))
    }

    /// A loop that stands in no other.
    pub fn loop_value(&mut self, inner: &Loop) -> Bound {
        let (count, counter, note) = match &inner.kind {
            LoopKind::For { var, range } => {
                let count = match &range.start {
                    None => {
                        let known = super::sizes::known_expr(&range.end, &self.subject.sizes);
                        match known.parse::<usize>() {
                            Ok(_) => known,
                            // A name of the top level.
                            Err(_) => types::int_of_expr(self.world.env, &range.end).unwrap_or(known),
                        }
                    }
                    Some(start) => format!("{}:{}", one_line(start), one_line(&range.end)),
                };
                (Some(count), var.as_ref().map_or_else(|| "k".into(), |var| var.text.clone()), String::new())
            }
            LoopKind::Until { cond, within } => {
                (None, "k".into(), format!("until {} within {}", one_line(cond), one_line(within)))
            }
        };
        let passes = Passes { states: &inner.inits, body: &inner.body, count, each: "pass", counter, note };
        self.band += 1;
        let finals = self.passes(&passes);
        self.band += 1;
        match finals.as_slice() {
            [(_, one)] => Bound::One(one.clone()),
            _ => Bound::Fields(finals),
        }
    }

    /// The states after the passes.
    pub fn passes(&mut self, passes: &Passes) -> Vec<(Symbol, Source)> {
        let count = passes.count.as_ref().and_then(|count| count.parse::<usize>().ok());
        let shown: Option<Vec<Option<usize>>> = match (self.layers, count) {
            (Layers::One, _) | (_, None) => None,
            (Layers::All, Some(n)) => Some((0..n.min(super::trace::MOST_NODES + 1)).map(Some).collect()),
            (Layers::Ends, Some(n)) if n <= 3 => Some((0..n).map(Some).collect()),
            (Layers::Ends, Some(n)) => Some(vec![Some(0), None, Some(n - 1)]),
        };
        let outer = (self.data.clone(), self.previous.clone());
        let finals = match shown {
            None => self.one_pass(passes, count),
            Some(layers) => self.all_passes(passes, &layers),
        };
        (self.data, self.previous) = outer;
        self.layer = None;
        finals
    }

    /// Where states start that depend on data.
    fn starts(&mut self, passes: &Passes) -> Vec<Option<Source>> {
        passes.states.iter().map(|init| self.depends(&init.value).then(|| self.source(&init.value))).collect()
    }

    /// A box for each state where the passes begin.
    fn begin(&mut self, passes: &Passes, starts: Vec<Option<Source>>) -> Vec<usize> {
        let mut nodes = Vec::new();
        for (init, start) in passes.states.iter().zip(starts) {
            let shape = match &init.binder.ty {
                Some(ty) => super::sizes::shape_of_type(ty, &self.subject.sizes),
                None => self.shape(&init.value),
            };
            let name = init.binder.name.text.clone();
            let node = self.plain(Kind::State, name.to_string(), shape);
            match start {
                Some(source) => {
                    self.diagram.edges.push(Edge { from: source.node, to: node, name: source.name, carried: false });
                }
                None => self.diagram.nodes[node].detail = format!("from {}", one_line(&init.value)),
            }
            let source = Source { node, name: name.to_string() };
            self.previous.insert(name.clone(), source.clone());
            self.data.insert(name, Bound::One(source));
            nodes.push(node);
        }
        nodes
    }

    fn states(&self, passes: &Passes) -> Vec<(Symbol, Source)> {
        let names = passes.states.iter().map(|init| &init.binder.name.text);
        names
            .filter_map(|name| match self.data.get(name) {
                Some(Bound::One(source)) => Some((name.clone(), source.clone())),
                Some(Bound::Fields(_)) | None => None,
            })
            .collect()
    }

    /// One pass with arrows back.
    fn one_pass(&mut self, passes: &Passes, count: Option<usize>) -> Vec<(Symbol, Source)> {
        let (each, k) = (passes.each, &passes.counter);
        let title = match (&passes.count, count) {
            (_, Some(1)) => format!("1 {each}"),
            (_, Some(n)) => {
                format!("{n} {each}{}, {k} = 0 .. {}", if each == "pass" { "es" } else { "s" }, n.saturating_sub(1))
            }
            (Some(count), None) => format!("{count} {each}{}", if each == "pass" { "es" } else { "s" }),
            (None, None) => "each pass".to_string(),
        };
        let starts = self.starts(passes);
        self.band += 1;
        self.made.clear();
        self.diagram.groups.push(Group { title, note: passes.note.clone() });
        self.group = Some(self.diagram.groups.len() - 1);
        self.layer = Some(k.to_string());
        let begins = self.begin(passes, starts);
        self.statements(passes.body);
        let finals = self.states(passes);
        for ((_, source), begin) in finals.iter().zip(begins) {
            if source.node != begin {
                let (from, name) = (source.node, source.name.clone());
                self.diagram.edges.push(Edge { from, to: begin, name, carried: true });
            }
        }
        self.group = None;
        self.made.clear();
        finals
    }

    /// Layers one after the other; `None` stands for those that are left out.
    fn all_passes(&mut self, passes: &Passes, layers: &[Option<usize>]) -> Vec<(Symbol, Source)> {
        let starts = self.starts(passes);
        self.begin(passes, starts);
        for layer in layers {
            self.band += 1;
            // Every layer is drawn with boxes of its own.
            self.made.clear();
            match layer {
                Some(k) => {
                    let title = format!("{} {}", passes.each, k + 1);
                    let last = *layer == layers.last().copied().flatten();
                    let note = if last { passes.note.clone() } else { String::new() };
                    self.diagram.groups.push(Group { title, note });
                    self.group = Some(self.diagram.groups.len() - 1);
                    self.layer = Some(k.to_string());
                    for (name, source) in self.states(passes) {
                        self.previous.insert(name, source);
                    }
                    self.statements(passes.body);
                    self.group = None;
                }
                None => {
                    for (name, source) in self.states(passes) {
                        let node = self.plain(Kind::More, "· · ·".to_string(), String::new());
                        self.diagram.edges.push(Edge {
                            from: source.node,
                            to: node,
                            name: source.name,
                            carried: false,
                        });
                        self.data.insert(name.clone(), Bound::One(Source { node, name: name.to_string() }));
                    }
                }
            }
        }
        self.made.clear();
        self.states(passes)
    }
}

/// A path as an expression, for its text.
fn path_expr(place: &crate::syntax::ast::Path) -> Expr {
    use crate::syntax::ast::PathPart;
    let root = Expr { kind: ExprKind::Name(place.root.text.clone()), span: place.root.span };
    place.parts.iter().fold(root, |base, part| {
        let kind = match part {
            PathPart::Field(name) => ExprKind::Field { base: Box::new(base), name: name.clone() },
            PathPart::Index(indices) => ExprKind::Index { base: Box::new(base), indices: indices.clone() },
        };
        Expr { kind, span: place.span }
    })
}

/// The values that a form gives for a solver's parameters, for the legend.
pub fn given_values(form: &Form) -> impl Iterator<Item = (&Symbol, &Expr)> {
    form.decl.params.iter().zip(&form.given).filter_map(|(param, given)| match given {
        Given::Value(value) => Some((&param.name.text, value)),
        Given::Nothing | Given::Open => param.default.as_ref().map(|value| (&param.name.text, value)),
    })
}
