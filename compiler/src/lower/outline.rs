//! A network or a solver as boxes: what it takes, what each line computes with which shape, which parameters are learned.

use super::network::body_scope;
use super::value::{Func, Lift, Mode, Net, NetBody, Scope, SolverForm, Value};
use super::{Ctx, Res, Session, fail, lower_with};
use crate::ir::graph::Type;
use crate::source::{SourceMap, Span};
use crate::syntax::ast::{self, ArgValue, Expr, ExprKind, LetKind, Stmt, StmtKind, TypeKind};
use crate::types::names::{each_binding, each_name};
use dp_runtime::plot::diagram::{Block, Diagram, Kind};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::rc::Rc;

/// Layers of an unrolled network beyond this many are not all drawn.
const MOST_LAYERS: usize = 4;
/// Longer texts of the source are cut.
const MOST_TEXT: usize = 64;

/// The drawing of a value. `sizes` gives sizes to names of dimensions that only a call would bind.
///
/// # Errors
/// If the value is neither a network nor a solver.
pub fn diagram(session: &mut Session, sources: &SourceMap, value: &Value, sizes: &[(String, i64)]) -> Res<Diagram> {
    match value {
        Value::Net(net) => match &*net.body {
            NetBody::Hand { .. } => hand(session, sources, net, sizes),
            NetBody::Unrolled { form, lifted } => Ok(unrolled(sources, net, form, lifted)),
        },
        Value::Func(func) => match &**func {
            Func::Solver { decl, .. } => Ok(solver(sources, decl)),
            other => fail("E0313", Span::NONE, format!("networks and solvers are drawn, not {}", other.name())),
        },
        other => fail("E0313", Span::NONE, format!("networks and solvers are drawn, not {}", other.describe())),
    }
}

/// The source in one line.
fn text(sources: &SourceMap, span: Span) -> String {
    let whole = sources.text(span).split_whitespace().collect::<Vec<_>>().join(" ");
    if whole.chars().count() <= MOST_TEXT {
        return whole;
    }
    whole.chars().take(MOST_TEXT - 1).chain(['…']).collect()
}

fn block(kind: Kind, title: &str, lines: Vec<String>) -> Block {
    Block { kind, title: title.into(), lines, shape: String::new(), learned: Vec::new(), repeats: String::new() }
}

/// `64 × 784`, or `real`.
fn shown(shape: &[usize]) -> String {
    match shape {
        [] => "real".to_string(),
        shape => shape.iter().map(usize::to_string).collect::<Vec<_>>().join(" × "),
    }
}

/// The arrays in parameters, as texts; of many only their number.
fn arrays(params: &Value) -> Vec<String> {
    fn below(value: &Value, path: &str, out: &mut Vec<(String, Vec<usize>)>) {
        match value {
            Value::Record(fields) => {
                for (name, inner) in fields.iter() {
                    let path = if path.is_empty() { name.to_string() } else { format!("{path}.{name}") };
                    below(inner, &path, out);
                }
            }
            Value::Tensor(t) => out.push((path.to_string(), t.shape().to_vec())),
            _ => {}
        }
    }
    let mut all = Vec::new();
    below(params, "", &mut all);
    if all.len() <= 4 {
        return all.into_iter().map(|(path, shape)| format!("{path}: {}", shown(&shape))).collect();
    }
    let numbers: usize = all.iter().map(|(_, shape)| shape.iter().product::<usize>()).sum();
    vec![format!("{numbers} numbers in {} arrays", all.len())]
}

/// The boxes of a network written by hand, as they are found.
struct Hand<'a> {
    sources: &'a SourceMap,
    net: &'a Net,
    decl: &'a ast::Network,
    diagram: Diagram,
    /// The boxes that make each name.
    origin: HashMap<String, Vec<usize>>,
    /// Shapes of the inputs are known, so that others can be found.
    sized: bool,
}

fn hand(session: &mut Session, sources: &SourceMap, net: &Rc<Net>, sizes: &[(String, i64)]) -> Res<Diagram> {
    let NetBody::Hand { decl, scope, .. } = &*net.body else {
        return fail("E0313", Span::NONE, "internal error: a network written by hand");
    };
    let title = net.name.to_string();
    let diagram = Diagram { title, ..Diagram::default() };
    let mut hand = Hand { sources, net, decl, diagram, origin: HashMap::new(), sized: true };
    lower_with(session, &[], decl.name.span, |ctx, _| {
        let inner = body_scope(decl, scope);
        for (name, size) in sizes {
            inner.bind(&name.as_str().into(), Value::Int(*size));
        }
        let values: Vec<Option<Value>> = decl.params.iter().map(|p| input(ctx, &inner, p)).collect();
        hand.sized = values.iter().all(Option::is_some);
        for (param, value) in decl.params.iter().zip(&values) {
            let mut own = block(Kind::Data, &param.name.text, Vec::new());
            own.shape = match (value, &param.ty) {
                (Some(value), _) => ctx.shape(value).map(|s| shown(&s)).unwrap_or_default(),
                (None, Some(ty)) => text(sources, ty.span),
                (None, None) => String::new(),
            };
            let id = hand.add(own, []);
            hand.origin.insert(param.name.text.to_string(), vec![id]);
        }
        let inner = match values.into_iter().collect::<Option<Vec<Value>>>() {
            Some(values) => ctx.bind_params_in(inner, &decl.params, &values)?,
            None => inner,
        };
        let params = net.own_params();
        let here = Net { at: Some(params.clone()), ..super::network::copy(net) };
        if let Value::Record(fields) = &params {
            for (name, value) in fields.iter() {
                let part = here.part(name).map(|part| Value::Net(Rc::new(part)));
                inner.bind(name, part.unwrap_or_else(|| value.clone()));
            }
        }
        ctx.in_function(|ctx| {
            hand.body(ctx, &inner);
            Ok(Value::Unit)
        })
    })?;
    Ok(hand.diagram)
}

/// A value of the declared type, if all its sizes are known.
fn input(ctx: &mut Ctx, scope: &Scope, param: &ast::Param) -> Option<Value> {
    let TypeKind::Array { kind, dims } = &param.ty.as_ref()?.kind else { return None };
    let dtype = ctx.dtype_of(*kind)?;
    let mut known = true;
    dims.iter().for_each(|dim| each_name(dim, &mut |name| known &= scope.find_here(name).is_some()));
    let shape = known.then(|| ctx.declared_shape(scope, dims).ok())??;
    Some(ctx.param(Type::new(dtype, &shape)))
}

impl Hand<'_> {
    fn add(&mut self, block: Block, from: impl IntoIterator<Item = usize>) -> usize {
        let id = self.diagram.blocks.len();
        self.diagram.blocks.push(block);
        self.diagram.arrows.extend(from.into_iter().map(|from| (from, id)));
        id
    }

    fn body(&mut self, ctx: &mut Ctx, scope: &Scope) {
        for stmt in &self.decl.body.stmts {
            let StmtKind::Let(binding) = &stmt.kind else { continue };
            match &binding.kind {
                LetKind::Inits(inits) => {
                    for init in inits {
                        let name = init.binder.name.text.to_string();
                        let id = self.flow(ctx, scope, &init.value, &name);
                        self.origin.insert(name, vec![id]);
                    }
                }
                LetKind::Tuple(names, value) => {
                    let title = names.iter().map(|n| &*n.text).collect::<Vec<_>>().join(", ");
                    let id = self.flow(ctx, scope, value, &title);
                    self.origin.extend(names.iter().map(|n| (n.text.to_string(), vec![id])));
                }
            }
            // What only a call could tell leaves the shapes after it unknown.
            self.sized &= !self.sized || ctx.bind_let(scope, binding).is_ok();
        }
        let Some(value) = self.decl.body.value.as_deref() else { return };
        let from = match &value.kind {
            ExprKind::Name(name) if self.origin.contains_key(&**name) => self.origin[&**name].clone(),
            _ => vec![self.flow(ctx, scope, value, "")],
        };
        let mut result = block(Kind::Data, "result", Vec::new());
        result.shape = match (self.shape(ctx, scope, value), &self.decl.result) {
            (shape, Some(ty)) if shape.is_empty() => text(self.sources, ty.span),
            (shape, _) => shape,
        };
        self.add(result, from);
    }

    /// The box of an expression, after those of the instances that are called in it.
    fn flow(&mut self, ctx: &mut Ctx, scope: &Scope, value: &Expr, title: &str) -> usize {
        if let Some((part, args)) = self.part_call(value) {
            return self.part(ctx, scope, value, part, args, title);
        }
        let (mut from, mut learned) = (BTreeSet::new(), BTreeSet::new());
        self.walk(ctx, scope, value, &mut from, &mut learned);
        let line = text(self.sources, value.span);
        let mut own = match title {
            "" => block(Kind::Layer, &line, Vec::new()),
            title => block(Kind::Layer, title, vec![line]),
        };
        own.shape = self.shape(ctx, scope, value);
        let params = self.net.own_params();
        for name in learned {
            let array = params.field(&name).map(arrays).unwrap_or_default();
            own.learned.extend(array.into_iter().map(|text| format!("{name}{text}")));
        }
        self.add(own, from)
    }

    /// The instance that an expression calls, with the arguments.
    fn part_call<'e>(&self, value: &'e Expr) -> Option<(Net, &'e [ast::Arg])> {
        let ExprKind::Call { func, args } = &value.kind else { return None };
        let ExprKind::Name(name) = &func.kind else { return None };
        // A let of the same name hides it.
        if self.origin.contains_key(&**name) {
            return None;
        }
        let mut part = self.net.part(name)?;
        part.name = name.clone();
        Some((part, args))
    }

    fn part(&mut self, ctx: &mut Ctx, scope: &Scope, call: &Expr, part: Net, args: &[ast::Arg], title: &str) -> usize {
        let (mut from, mut learned) = (BTreeSet::new(), BTreeSet::new());
        let mut lines = Vec::new();
        let inits = self.decl.body.stmts.iter().filter_map(|stmt| match &stmt.kind {
            StmtKind::Param(inits) => Some(inits),
            StmtKind::Let(_) | StmtKind::Assign { .. } => None,
        });
        if let Some(init) = inits.flatten().find(|init| init.binder.name.text == part.name) {
            lines.push(text(self.sources, init.value.span));
        }
        for arg in args {
            let (ArgValue::Expr(e) | ArgValue::Each(_, e)) = &arg.value else { continue };
            self.walk(ctx, scope, e, &mut from, &mut learned);
            if !matches!(e.kind, ExprKind::Name(_)) && self.part_call(e).is_none() {
                lines.push(format!("of {}", text(self.sources, arg.span)));
            }
        }
        let title = if title.is_empty() { part.name.to_string() } else { format!("{title} = {}", part.name) };
        let shape = self.shape(ctx, scope, call);
        let own = Block { shape, learned: arrays(&part.own_params()), ..block(Kind::Layer, &title, lines) };
        self.add(own, from)
    }

    /// What an expression is made from: boxes, and parameters by name.
    fn walk(
        &mut self,
        ctx: &mut Ctx,
        scope: &Scope,
        value: &Expr,
        from: &mut BTreeSet<usize>,
        learned: &mut BTreeSet<String>,
    ) {
        if let Some((part, args)) = self.part_call(value) {
            from.insert(self.part(ctx, scope, value, part, args, ""));
            return;
        }
        match &value.kind {
            ExprKind::Call { func, args } if args.iter().all(|a| !matches!(a.value, ArgValue::Generator { .. })) => {
                self.walk(ctx, scope, func, from, learned);
                for arg in args {
                    if let ArgValue::Expr(e) | ArgValue::Each(_, e) = &arg.value {
                        self.walk(ctx, scope, e, from, learned);
                    }
                }
            }
            ExprKind::Index { base, .. } => self.walk(ctx, scope, base, from, learned),
            ExprKind::Field { base, .. } => self.walk(ctx, scope, base, from, learned),
            ExprKind::Neg(e) | ExprKind::Transpose(e) => self.walk(ctx, scope, e, from, learned),
            ExprKind::MatMul(a, b) | ExprKind::Pow(a, b) => {
                self.walk(ctx, scope, a, from, learned);
                self.walk(ctx, scope, b, from, learned);
            }
            ExprKind::Chain { first, rest } => {
                self.walk(ctx, scope, first, from, learned);
                rest.iter().for_each(|(_, e)| self.walk(ctx, scope, e, from, learned));
            }
            ExprKind::Tuple(items) | ExprKind::Array(items) => {
                items.iter().for_each(|e| self.walk(ctx, scope, e, from, learned));
            }
            // Inside other forms instances have no boxes of their own.
            _ => {
                let params = self.net.own_params();
                each_name(value, &mut |name| match self.origin.get(name) {
                    Some(boxes) => from.extend(boxes),
                    None if params.field(name).is_some() => {
                        learned.insert(name.to_string());
                    }
                    None => {}
                });
            }
        }
    }

    fn shape(&self, ctx: &mut Ctx, scope: &Scope, value: &Expr) -> String {
        if !self.sized {
            return String::new();
        }
        let value = ctx.expr(scope, value);
        value.and_then(|v| ctx.shape(&v)).map(|s| shown(&s)).unwrap_or_default()
    }
}

/// The lines of a step.
fn step_lines(sources: &SourceMap, step: &[Stmt]) -> Vec<String> {
    step.iter().map(|stmt| text(sources, stmt.span)).collect()
}

/// The names that a solver's step uses, directly or through lets that are not `lifted`.
fn used_by_step(decl: &ast::Solver, lifted: &HashSet<&str>) -> HashSet<String> {
    let mut used: HashSet<String> = HashSet::new();
    let mut see = |name: &str| {
        used.insert(name.to_string());
    };
    for stmt in &decl.body.step {
        match &stmt.kind {
            StmtKind::Let(binding) => each_binding(binding, &mut |name, value| {
                if !lifted.contains(name) {
                    each_name(value, &mut see);
                }
            }),
            StmtKind::Assign { value, .. } => each_name(value, &mut see),
            StmtKind::Param(_) => {}
        }
    }
    // Lets see only those before them.
    for binding in decl.body.lets.iter().rev() {
        let mut more = Vec::new();
        each_binding(binding, &mut |name, value| {
            if used.contains(name) && !lifted.contains(name) {
                each_name(value, &mut |name| more.push(name.to_string()));
            }
        });
        used.extend(more);
    }
    used
}

fn unrolled(sources: &SourceMap, net: &Net, form: &SolverForm, lifted: &[Lift]) -> Diagram {
    let decl = &form.decl;
    let declared = match &form.mode {
        Mode::Unroll { count, .. } => *count,
        Mode::Converge | Mode::Implicit | Mode::Trace { .. } => 1,
    };
    let count = net.first.unwrap_or(declared);
    let title = format!("{}: {count} layers of {}", net.name, decl.name.text);
    let mut diagram = Diagram { title, ..Diagram::default() };
    let names: HashSet<&str> = lifted.iter().map(|lift| &*lift.name).collect();
    let (used, reached) = (used_by_step(decl, &names), crate::types::reaching(decl, &names));
    let mut inputs = Vec::new();
    for (param, arg) in decl.params.iter().zip(&form.args) {
        if arg.value.is_none() && reached.contains(&*param.name.text) {
            inputs.push((diagram.blocks.len(), used.contains(&*param.name.text)));
            let shape = param.ty.as_ref().map(|ty| text(sources, ty.span)).unwrap_or_default();
            diagram.blocks.push(Block { shape, ..block(Kind::Data, &param.name.text, Vec::new()) });
        }
    }
    let params = net.own_params();
    let lines = step_lines(sources, &decl.body.step);
    let all = count <= MOST_LAYERS;
    let layers: Vec<Option<usize>> =
        if all { (0..count).map(Some).collect() } else { vec![Some(0), Some(1), None, Some(count - 1)] };
    let mut last = None;
    for layer in layers {
        let id = diagram.blocks.len();
        let Some(k) = layer else {
            diagram.blocks.push(block(Kind::Layer, "…", vec![format!("layers 3 to {}", count - 1)]));
            diagram.arrows.extend(last.map(|from| (from, id)));
            last = Some(id);
            continue;
        };
        let mut own = block(Kind::Layer, &format!("layer {}", k + 1), lines.clone());
        for lift in lifted {
            let Some(Value::Tensor(t)) = params.field(&lift.name) else { continue };
            own.learned.push(match lift.each {
                true => format!("{}[{k}]: {}", lift.name, shown(&t.shape()[1..])),
                false => format!("{}: {}, shared by all layers", lift.name, shown(t.shape())),
            });
        }
        diagram.blocks.push(own);
        let direct = inputs.iter().filter(|(_, in_step)| *in_step || last.is_none()).map(|(input, _)| (*input, id));
        diagram.arrows.extend(direct.collect::<Vec<_>>());
        diagram.arrows.extend(last.map(|from| (from, id)));
        last = Some(id);
    }
    let result = diagram.blocks.len();
    diagram.blocks.push(block(Kind::Data, &text(sources, decl.result.span), Vec::new()));
    diagram.arrows.extend(last.map(|from| (from, result)));
    diagram
}

fn solver(sources: &SourceMap, decl: &ast::Solver) -> Diagram {
    let mut diagram = Diagram { title: format!("solver {}", decl.name.text), ..Diagram::default() };
    let used = used_by_step(decl, &HashSet::new());
    let inputs: Vec<(usize, &ast::Param)> = decl.params.iter().enumerate().collect();
    for (_, param) in &inputs {
        let shape = param.ty.as_ref().map(|ty| text(sources, ty.span)).unwrap_or_default();
        diagram.blocks.push(Block { shape, ..block(Kind::Data, &param.name.text, Vec::new()) });
    }
    let names_in = |values: &[&Expr]| {
        let mut names = HashSet::new();
        values.iter().for_each(|value| {
            each_name(value, &mut |name| {
                names.insert(name.to_string());
            })
        });
        names
    };
    let arrows_to = |id: usize, names: &HashSet<String>| -> Vec<(usize, usize)> {
        inputs.iter().filter(|(_, p)| names.contains(&*p.name.text)).map(|(input, _)| (*input, id)).collect()
    };
    let mut before = None;
    if !decl.body.lets.is_empty() {
        let (mut lines, mut values) = (Vec::new(), Vec::new());
        for binding in &decl.body.lets {
            each_binding(binding, &mut |name, value| {
                lines.push(format!("{name} = {}", text(sources, value.span)));
                values.push(value);
            });
        }
        let id = diagram.blocks.len();
        diagram.blocks.push(block(Kind::Layer, "once", lines));
        diagram.arrows.extend(arrows_to(id, &names_in(&values)));
        before = Some(id);
    }
    let starts: Vec<&Expr> = decl.body.states.iter().map(|init| &init.value).collect();
    let state_lines = decl.body.states.iter().map(|init| {
        let ty = init.binder.ty.as_ref().map(|ty| format!(": {}", text(sources, ty.span))).unwrap_or_default();
        format!("{}{ty} = {}", init.binder.name.text, text(sources, init.value.span))
    });
    let start = diagram.blocks.len();
    diagram.blocks.push(block(Kind::Layer, "start", state_lines.collect()));
    diagram.arrows.extend(arrows_to(start, &names_in(&starts)));
    let step = diagram.blocks.len();
    let mut own = block(Kind::Layer, "step", step_lines(sources, &decl.body.step));
    own.repeats = match &decl.body.until {
        Some(until) => format!("until {}", text(sources, until.cond.span)),
        None => "again".to_string(),
    };
    diagram.blocks.push(own);
    // Of what the step reads: the lets if there are any in it, and inputs that it names itself.
    let mut direct = HashSet::new();
    for stmt in &decl.body.step {
        match &stmt.kind {
            StmtKind::Let(binding) => each_binding(binding, &mut |_, value| {
                direct.extend(names_in(&[value]));
            }),
            StmtKind::Assign { value, .. } => direct.extend(names_in(&[value])),
            StmtKind::Param(_) => {}
        }
    }
    diagram.arrows.extend(arrows_to(step, &direct));
    if let Some(lets) = before {
        let mut names = Vec::new();
        decl.body.lets.iter().for_each(|l| each_binding(l, &mut |name, _| names.push(name.to_string())));
        if names.iter().any(|name| used.contains(name)) {
            diagram.arrows.push((lets, step));
        }
        if names.iter().any(|name| names_in(&starts).contains(name)) {
            diagram.arrows.push((lets, start));
        }
    }
    diagram.arrows.push((start, step));
    let result = diagram.blocks.len();
    diagram.blocks.push(block(Kind::Data, &text(sources, decl.result.span), Vec::new()));
    diagram.arrows.push((step, result));
    diagram
}
