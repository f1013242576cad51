//! From a solver, network or function to a diagram.

use super::legend;
use super::subject::{Form, Given, Of, Subject};
use super::{Diagram, Edge, Kind, Layers, Learned, Node, Options, World};
use crate::diagnostic::Diagnostic;
use crate::source::{FileId, Span};
use crate::syntax::ast::{Block, Expr, ExprKind, Param, Symbol};
use crate::syntax::pretty;
use crate::types;
use std::collections::HashMap;

type Res<T> = Result<T, Box<Diagnostic>>;

/// More boxes than anyone looks at.
pub const MOST_NODES: usize = 2000;

/// Where a value comes from: a box, and what its value is called.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Source {
    pub node: usize,
    pub name: String,
}

/// What a name stands for that depends on data.
#[derive(Clone, Debug)]
pub enum Bound {
    One(Source),
    Fields(Vec<(Symbol, Source)>),
}

pub struct Tracer<'a> {
    pub world: &'a World<'a>,
    pub subject: &'a Subject<'a>,
    pub layers: Layers,
    pub diagram: Diagram,
    types: HashMap<(u32, u32), String>,
    /// Names that depend on inputs or states; all others are known when the picture begins.
    pub data: HashMap<Symbol, Bound>,
    /// The states when the pass began.
    pub previous: HashMap<Symbol, Source>,
    pub learned: Vec<Learned>,
    /// Networks that are called, and of which template they are.
    pub instances: Vec<(String, String)>,
    /// Known names that stand in boxes.
    pub mentioned: Vec<String>,
    pub made: HashMap<(String, Vec<Source>), usize>,
    pub group: Option<usize>,
    pub band: usize,
    /// The index of the layer that is drawn, as a text.
    pub layer: Option<String>,
}

/// The diagram of a subject.
pub fn trace(world: &World, subject: &Subject, options: &Options) -> Res<Diagram> {
    let mut tracer = Tracer {
        world,
        subject,
        layers: options.layers,
        diagram: Diagram::default(),
        types: HashMap::new(),
        data: HashMap::new(),
        previous: HashMap::new(),
        learned: Vec::new(),
        instances: Vec::new(),
        mentioned: Vec::new(),
        made: HashMap::new(),
        group: None,
        band: 0,
        layer: None,
    };
    match &subject.of {
        Of::Solver(form) => tracer.solver(form, options)?,
        Of::Body { params, body } => tracer.network(params, body, options)?,
    }
    if tracer.diagram.nodes.len() > MOST_NODES {
        let message = format!("`{}` has more than {MOST_NODES} boxes, which no one can look at", subject.name);
        let d = Diagnostic::error("E0363", Span::NONE, message);
        return Err(Box::new(d.help("`--layers ends` draws the first and the last layer")));
    }
    tracer.diagram.legend = legend::legend(&tracer);
    Ok(alive(tracer.diagram))
}

impl Tracer<'_> {
    fn solver(&mut self, form: &Form, options: &Options) -> Res<()> {
        let decl = &form.decl;
        self.types = types::types_in_file(self.world.env, self.subject.module, decl.name.span.file);
        self.learned =
            form.learned.iter().map(|(name, each)| Learned { name: name.to_string(), each: *each }).collect();
        let open = |i: usize| matches!(form.given[i], Given::Open);
        let some_open = (0..decl.params.len()).any(open);
        let all_given = form.given.iter().all(|given| matches!(given, Given::Value(_)));
        let chosen: Vec<usize> = match options.inputs.is_empty() {
            true if some_open => (0..decl.params.len()).filter(|i| open(*i)).collect(),
            true if all_given => Vec::new(),
            true => (0..decl.params.len().min(1)).collect(),
            false => self.chosen(&decl.params, &options.inputs)?,
        };
        for i in chosen {
            self.input(&decl.params[i]);
        }
        let names = self.arguments(&decl.params);
        let how = match &form.count {
            Some(count) => format!("{count} layers of "),
            None => String::new(),
        };
        let of =
            if *self.subject.name == *decl.name.text { String::new() } else { format!(" = {how}{}", decl.name.text) };
        self.diagram.title = format!("{} {}({names}){of}", self.subject.what, self.subject.name);
        self.band = 1;
        // What a learned name starts at is told below the picture; its value is that of the parameter.
        for binding in &decl.body.lets {
            self.binding(binding);
        }
        self.band = 2;
        let fields = self.passes(&super::body::Passes::of_solver(form));
        for (name, source) in fields {
            self.data.insert(name, Bound::One(source));
        }
        self.band += 1;
        self.outputs(&decl.result, &pretty::expr(&decl.result));
        Ok(())
    }

    fn network(&mut self, params: &[Param], body: &Block, options: &Options) -> Res<()> {
        self.types = types::types_in_file(self.world.env, self.subject.module, file_of(body, params));
        for init in super::subject::learned(body) {
            let name = init.binder.name.text.to_string();
            if init.binder.ty.is_none() {
                self.instances.push((name.clone(), super::label::one_line(&init.value)));
            }
            self.learned.push(Learned { name, each: false });
        }
        // A template of a network at the top level that is called is learned too, as a whole.
        let has_arrays = |param: &&Param| !matches!(&param.ty, Some(ty) if is_static(ty));
        let chosen: Vec<usize> = match options.inputs.is_empty() {
            false => self.chosen(params, &options.inputs)?,
            // A function's parameters after the first are as often weights as data: all are drawn.
            true => (0..params.len()).filter(|i| has_arrays(&&params[*i])).collect(),
        };
        for i in chosen {
            self.input(&params[i]);
        }
        let names = self.arguments(params);
        self.diagram.title = format!("{} {}({names})", self.subject.what, self.subject.name);
        self.band = 1;
        self.statements(&body.stmts);
        if let Some(value) = &body.value {
            let name = format!("{}({names})", self.subject.name);
            self.outputs(value, &name);
        }
        Ok(())
    }

    /// The positions of parameters that are named as inputs.
    fn chosen(&self, params: &[Param], names: &[String]) -> Res<Vec<usize>> {
        let place = |name: &String| {
            params.iter().position(|param| *param.name.text == **name).ok_or_else(|| {
                let known: Vec<String> = params.iter().map(|param| format!("`{}`", param.name.text)).collect();
                let message = format!("`{}` has no parameter `{name}` that could be an input", self.subject.name);
                Box::new(Diagnostic::error("E0362", Span::NONE, message).note(format!("it has {}", known.join(", "))))
            })
        };
        names.iter().map(place).collect()
    }

    /// The names of the inputs.
    fn arguments(&self, params: &[Param]) -> String {
        let names = params.iter().map(|param| &param.name.text).filter(|name| self.data.contains_key(*name));
        names.map(|name| name.to_string()).collect::<Vec<_>>().join(", ")
    }

    fn input(&mut self, param: &Param) {
        let shape = match &param.ty {
            Some(ty) => super::sizes::shape_of_type(ty, &self.subject.sizes),
            None => String::new(),
        };
        let label = param.name.text.to_string();
        let node = self.plain(Kind::Input, label.clone(), shape);
        self.data.insert(param.name.text.clone(), Bound::One(Source { node, name: label }));
    }

    /// Boxes for the parts of a result.
    fn outputs(&mut self, value: &Expr, name: &str) {
        let parts: Vec<(String, &Expr)> = match &value.kind {
            ExprKind::Tuple(parts) => parts.iter().map(|part| (super::label::one_line(part), part)).collect(),
            ExprKind::Record(fields) => fields.iter().map(|(name, part)| (name.text.to_string(), part)).collect(),
            _ => vec![(name.to_string(), value)],
        };
        let mut sources = Vec::new();
        for (name, part) in parts {
            if self.depends(part) || matches!(part.kind, ExprKind::Loop(_)) {
                sources.push((name, self.source(part), self.shape(part)));
            }
        }
        self.band += 1;
        for (label, source, shape) in sources {
            let node = self.plain(Kind::Output, label, shape);
            self.diagram.edges.push(Edge { from: source.node, to: node, name: source.name, carried: false });
        }
    }

    pub fn node(&mut self, node: Node) -> usize {
        self.diagram.nodes.push(node);
        self.diagram.nodes.len() - 1
    }

    pub fn plain(&mut self, kind: Kind, label: String, shape: String) -> usize {
        let (group, band) = (self.group, self.band);
        self.node(Node { kind, label, detail: String::new(), shape, learned: Vec::new(), group, band })
    }

    /// The shape that the checker found for an expression.
    pub fn shape(&self, e: &Expr) -> String {
        let ty = self.types.get(&(e.span.start, e.span.end));
        ty.map_or_else(String::new, |ty| super::sizes::shape_of(ty, &self.subject.sizes))
    }
}

fn is_static(ty: &crate::syntax::ast::Type) -> bool {
    use crate::syntax::ast::{ScalarKind, TypeKind};
    match &ty.kind {
        TypeKind::Array { kind, dims } => {
            dims.is_empty() && matches!(kind, ScalarKind::Int | ScalarKind::Bool | ScalarKind::Str | ScalarKind::Key)
        }
        TypeKind::Fn { .. } => true,
        TypeKind::Tuple(_) | TypeKind::Record(_) | TypeKind::Error => false,
    }
}

/// The file in which a network was written.
fn file_of(body: &Block, params: &[Param]) -> FileId {
    params.first().map_or(body.span.file, |param| param.name.span.file)
}

/// The diagram without boxes whose values reach no result.
fn alive(mut diagram: Diagram) -> Diagram {
    let mut alive: Vec<bool> = diagram.nodes.iter().map(|node| node.kind == Kind::Output).collect();
    loop {
        let more: Vec<usize> =
            diagram.edges.iter().filter(|edge| alive[edge.to] && !alive[edge.from]).map(|edge| edge.from).collect();
        if more.is_empty() {
            break;
        }
        more.into_iter().for_each(|node| alive[node] = true);
    }
    let mut place = Vec::new();
    let mut count = 0;
    for alive in &alive {
        place.push(count);
        count += usize::from(*alive);
    }
    let kept = |node: usize| alive[node];
    diagram.edges.retain(|edge| kept(edge.from) && kept(edge.to));
    for edge in &mut diagram.edges {
        (edge.from, edge.to) = (place[edge.from], place[edge.to]);
    }
    let mut at = 0;
    diagram.nodes.retain(|_| {
        at += 1;
        alive[at - 1]
    });
    // Stages that are empty now are closed up.
    let mut bands: Vec<usize> = diagram.nodes.iter().map(|node| node.band).collect();
    bands.sort_unstable();
    bands.dedup();
    for node in &mut diagram.nodes {
        node.band = bands.iter().position(|band| *band == node.band).unwrap_or(0);
    }
    diagram
}
