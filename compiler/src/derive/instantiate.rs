//! A method made a solver: its roles replaced by source, its variable by the blocks.
//!
//! A method is written over one variable; with several blocks each line that holds the variable stands once for each
//! block, all of them seeing the values from before (`previous`), and norms and sums go over all blocks together. So it is with
//! several linear maps and what is in their range (`lanes`). Names of
//! the method that the problem has too get the block's name as suffix.

mod hidden;
mod lanes;
mod layered;
mod locals;
mod maps;
mod roles;

use super::catalogue::Catalogue;
use super::layer::Layer;
use super::normal::Part;
use super::read::{Names, Reader};
use super::roles::Assigned;
use super::term::Terms;
use super::{tree, write};
use crate::diagnostic::Diagnostic;
use crate::source::Span;
use crate::syntax::ast::{
    ArgValue, BinaryOp, Binder, Expr, ExprKind, Init, Let, LetKind, Method, Path, Problem, Solver, SolverBody, Stmt,
    StmtKind, Symbol, Trivia, Until,
};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// What a method is instantiated with.
pub struct Site<'a> {
    pub terms: &'a mut Terms,
    pub catalogue: &'a Catalogue,
    pub problem: &'a Problem,
    /// Lets of the problem that do not depend on the blocks.
    pub kept: Vec<Let>,
    pub method: &'a Method,
    pub parts: &'a [Part],
    pub assigned: &'a Assigned,
    pub layer: bool,
    /// Where `derive` stands.
    pub at: Span,
    /// Where each block starts, if not at zero.
    pub starts: Vec<Option<Expr>>,
}

type Res<T> = Result<T, Box<Diagnostic>>;

/// A method while it becomes a solver.
pub struct Instance<'a, 'b> {
    site: &'b mut Site<'a>,
    /// The method, with the names that it binds inside expressions out of the way.
    method: Rc<Method>,
    /// Names of the method, and their names in the solver, for each block if they are as wide as the variable.
    names: HashMap<Symbol, Vec<Symbol>>,
    wide: HashSet<Symbol>,
    /// The terms behind each linear map, and the names that stand once for each map, if there are several.
    lanes: Vec<Vec<usize>>,
    in_lanes: HashSet<Symbol>,
    /// Names that are taken.
    taken: HashSet<Symbol>,
    lets: Vec<Let>,
    /// Lets before `step`, by their values' text, so that one value has one name.
    values: HashMap<String, Symbol>,
    stable: HashSet<Symbol>,
    /// Lets that a line needs before it.
    pending: Vec<Let>,
    /// Above zero in loops and lambdas, where nothing may be moved before the line.
    inside: usize,
    pub layers: Vec<Layer>,
    origins: Vec<(Symbol, Origin)>,
}

/// Where a let of the solver comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// A let of the problem.
    Problem,
    /// A let of the method, under its name there.
    Method(Symbol),
    /// A step times the weight of a term whose operator is applied.
    Threshold,
    /// The map of an input of `as layer`.
    InputMap,
    /// The map of a state of `as layer`.
    StateMap,
    /// The kernel of a convolution of `as layer`, with the step in it.
    Kernel,
}

/// A solver, and what is to be said of it.
pub struct Made {
    pub solver: Solver,
    pub layers: Vec<Layer>,
    /// The lets before `step`.
    pub origins: Vec<(Symbol, Origin)>,
}

/// The solver of a problem by a method.
pub fn instantiate(site: &mut Site, name: &str) -> Res<Made> {
    let mut taken: HashSet<Symbol> = HashSet::new();
    for param in &site.problem.params {
        taken.insert(param.name.text.clone());
        if let Some(ty) = &param.ty {
            dims_in(ty, &mut taken);
        }
    }
    for binder in &site.problem.over {
        taken.insert(binder.name.text.clone());
        if let Some(ty) = &binder.ty {
            dims_in(ty, &mut taken);
        }
    }
    for binding in &site.problem.lets {
        crate::types::names_bound(binding, &mut |name| {
            taken.insert(name.into());
        });
    }
    // Top-level values and functions that the objective uses.
    crate::types::names_in(&site.problem.objective, &mut |name| {
        taken.insert(name.into());
    });
    for constraint in &site.problem.constraints {
        crate::types::names_in(&constraint.expr, &mut |name| {
            taken.insert(name.into());
        });
    }
    let method = Rc::new(locals::renamed(site.method, &taken));
    let mut instance = Instance {
        method,
        names: HashMap::new(),
        wide: HashSet::new(),
        lanes: Vec::new(),
        in_lanes: HashSet::new(),
        taken,
        lets: site.kept.clone(),
        values: HashMap::new(),
        stable: HashSet::new(),
        pending: Vec::new(),
        inside: 0,
        layers: Vec::new(),
        origins: Vec::new(),
        site,
    };
    for binding in &instance.lets {
        crate::types::names_bound(binding, &mut |name| instance.origins.push((name.into(), Origin::Problem)));
    }
    instance.lanes = instance.find_lanes();
    let solver = instance.solver(name)?;
    Ok(Made { solver, layers: instance.layers, origins: instance.origins })
}

fn dims_in(ty: &crate::syntax::ast::Type, taken: &mut HashSet<Symbol>) {
    if let crate::syntax::ast::TypeKind::Array { dims, .. } = &ty.kind {
        for dim in dims {
            crate::types::names_in(dim, &mut |name| {
                taken.insert(name.into());
            });
        }
    }
}

impl Instance<'_, '_> {
    fn blocks(&self) -> usize {
        self.site.problem.over.len()
    }

    fn block_name(&self, block: usize) -> Symbol {
        self.site.problem.over[block].name.text.clone()
    }

    fn solver(&mut self, name: &str) -> Res<Solver> {
        let method = self.method.clone();
        let [variable] = method.over.as_slice() else {
            return Err(Box::new(Diagnostic::error(
                "E0334",
                method.name.span,
                format!(
                    "`{}` is written over several variables; a method has one, which stands for all blocks",
                    method.name.text
                ),
            )));
        };
        let blocks: Vec<Symbol> = (0..self.blocks()).map(|block| self.block_name(block)).collect();
        self.names.insert(variable.text.clone(), blocks);
        self.wide.insert(variable.text.clone());
        let shadowed = self.shadowed();
        if let Some(name) = shadowed {
            return Err(Box::new(
                Diagnostic::error(
                    "E0343",
                    self.site.problem.name.span,
                    format!(
                        "the problem uses the name `{name}` for a value, and its solver needs the function `{name}`"
                    ),
                )
                .help("give that value another name"),
            ));
        }
        for binding in &method.body.lets {
            self.method_let(binding)?;
        }
        let mut states = Vec::new();
        for init in &method.body.states {
            self.state(init, &mut states)?;
        }
        let counter = method.body.counter.as_ref().map(|counter| {
            let own = self.fresh(&counter.text, None);
            self.names.insert(counter.text.clone(), vec![own.clone()]);
            tree::named(&own)
        });
        let mut step = Vec::new();
        let mut assigned: HashSet<Symbol> = HashSet::new();
        for stmt in &method.body.step {
            self.step_line(stmt, &mut assigned, &mut step)?;
        }
        let until = match &method.body.until {
            Some(until) => Some(Until {
                cond: self.expr(&until.cond, None)?,
                within: until.within.as_ref().map(|within| self.expr(within, None)).transpose()?,
                span: Span::NONE,
                trivia: Trivia::default(),
            }),
            None => None,
        };
        let result = match self.blocks() {
            1 => tree::name(&self.block_name(0)),
            n => tree::expr(ExprKind::Tuple((0..n).map(|block| tree::name(&self.block_name(block))).collect())),
        };
        let body = SolverBody {
            lets: std::mem::take(&mut self.lets),
            state_trivia: vec![(0, Trivia::default())],
            states,
            counter,
            step,
            step_trivia: Trivia::default(),
            until,
        };
        let body = super::tidy::tidied(body, &result);
        self.check_of_std(&body)?;
        Ok(Solver { name: tree::named(name), params: self.site.problem.params.clone(), result, body })
    }

    /// A name in the solver for a name of the method.
    fn fresh(&mut self, text: &str, block: Option<usize>) -> Symbol {
        let with_block = |instance: &Self, block: usize| Symbol::from(format!("{text}_{}", instance.block_name(block)));
        let mut name: Symbol = match block {
            Some(block) => with_block(self, block),
            None => text.into(),
        };
        if self.taken.contains(&name) {
            name = with_block(self, block.unwrap_or(0));
        }
        let mut number = 2;
        let base = name.clone();
        while self.taken.contains(&name) {
            name = format!("{base}{number}").into();
            number += 1;
        }
        self.taken.insert(name.clone());
        name
    }

    fn method_let(&mut self, binding: &Let) -> Res<()> {
        let LetKind::Inits(inits) = &binding.kind else {
            return Err(self.unsupported(binding.span, "a tuple of lets before `step`"));
        };
        for init in inits {
            let value = self.expr(&init.value, None)?;
            let value = self.simplified(value);
            let own = self.fresh(&init.binder.name.text, None);
            self.names.insert(init.binder.name.text.clone(), vec![own.clone()]);
            self.stable.insert(own.clone());
            self.origins.push((own.clone(), Origin::Method(init.binder.name.text.clone())));
            self.lets.append(&mut self.pending);
            let mut binding = tree::let_(&own, value);
            if let LetKind::Inits(inits) = &mut binding.kind {
                inits[0].binder.ty.clone_from(&init.binder.ty);
            }
            self.lets.push(binding);
        }
        Ok(())
    }

    /// A scalar value through the term graph, so that `1 / (2 * (1/2 * L))` is `1 / L`.
    fn simplified(&mut self, value: Expr) -> Expr {
        let mut names = Names::default();
        for known in &self.stable {
            let id = self.site.terms.scalar_name(known);
            names.bind(known, id);
        }
        let data: Vec<Symbol> = self.site.problem.params.iter().map(|param| param.name.text.clone()).collect();
        for name in data {
            let id = self.site.terms.name(&name);
            names.bind(&name, id);
        }
        let mut reader = Reader::new(self.site.terms, self.site.catalogue);
        let id = reader.read(&names, &value);
        if !reader.stuck.is_empty() {
            return value;
        }
        write::write(self.site.terms, id)
    }

    fn state(&mut self, init: &Init, states: &mut Vec<Init>) -> Res<()> {
        let text = &init.binder.name.text;
        let is_variable = self.method.over[0].text == *text;
        let wide = is_variable || (init.binder.ty.is_none() && self.is_wide(&init.value));
        if !wide {
            let value = self.expr(&init.value, None)?;
            let own = self.fresh(text, None);
            self.names.insert(text.clone(), vec![own.clone()]);
            states.push(Init { binder: Binder { name: tree::named(&own), ty: init.binder.ty.clone() }, value });
            return Ok(());
        }
        let mut own_names = Vec::new();
        let stacked = self.is_stacked(&init.value);
        for block in 0..self.width(stacked) {
            let value = if is_start(&init.value) {
                self.site.starts[block].clone().unwrap_or_else(|| tree::int(0))
            } else {
                self.expr(&init.value, Some(block))?
            };
            self.lets.append(&mut self.pending);
            let own = if is_variable { self.block_name(block) } else { self.fresh_wide(text, stacked, block) };
            // The value of a map has a shape of its own, which comes from its start.
            let mapped = self.through_map(&init.value);
            let ty = if mapped { None } else { self.site.problem.over[block].ty.clone() };
            states.push(Init { binder: Binder { name: tree::named(&own), ty }, value });
            own_names.push(own);
        }
        self.keep_wide(text, own_names, stacked);
        Ok(())
    }

    /// The name in the solver of what stands once for each block, or for each map.
    fn fresh_wide(&mut self, text: &str, stacked: bool, at: usize) -> Symbol {
        match stacked {
            true => self.fresh(&format!("{text}{}", at + 1), None),
            false => self.fresh(text, (self.blocks() > 1).then_some(at)),
        }
    }

    fn keep_wide(&mut self, text: &Symbol, own: Vec<Symbol>, stacked: bool) {
        self.names.insert(text.clone(), own);
        self.wide.insert(text.clone());
        if stacked {
            self.in_lanes.insert(text.clone());
        }
    }

    /// A map of the method is applied in it.
    fn through_map(&self, e: &Expr) -> bool {
        let mut found = false;
        crate::types::names_in(e, &mut |name| found |= self.site.assigned.map(name).is_some());
        found
    }

    fn step_line(&mut self, stmt: &Stmt, assigned: &mut HashSet<Symbol>, step: &mut Vec<Stmt>) -> Res<()> {
        match &stmt.kind {
            StmtKind::Let(binding) => {
                let LetKind::Inits(inits) = &binding.kind else {
                    return Err(self.unsupported(binding.span, "a tuple of lets in `step`"));
                };
                for init in inits {
                    let text = &init.binder.name.text;
                    if !self.is_wide(&init.value) {
                        let value = tree::signed(&self.expr(&init.value, None)?);
                        let own = self.fresh(text, None);
                        self.names.insert(text.clone(), vec![own.clone()]);
                        self.flush(step);
                        step.push(tree::stmt(StmtKind::Let(tree::let_(&own, value))));
                        continue;
                    }
                    let mut own_names = Vec::new();
                    let stacked = self.is_stacked(&init.value);
                    for block in 0..self.width(stacked) {
                        let value = tree::signed(&self.expr(&init.value, Some(block))?);
                        let own = self.fresh_wide(text, stacked, block);
                        self.flush(step);
                        step.push(tree::stmt(StmtKind::Let(tree::let_(&own, value))));
                        own_names.push(own);
                    }
                    self.keep_wide(text, own_names, stacked);
                }
            }
            StmtKind::Assign { place, value } => {
                let root = &place.root.text;
                let wide = self.wide.contains(root);
                let stacked = self.in_lanes.contains(root);
                let count = if wide { self.width(stacked) } else { 1 };
                let before = assigned.clone();
                let mut lines = Vec::new();
                for block in 0..count {
                    let mut new = tree::signed(&self.expr(value, wide.then_some(block))?);
                    if self.site.layer && wide && !stacked && !has_operator(value) {
                        new = self.layered(new, block)?;
                    }
                    // Blocks assigned earlier in this line are meant as they were before it.
                    let earlier: Vec<Symbol> = lines.iter().map(|(name, _): &(Symbol, Expr)| name.clone()).collect();
                    if !earlier.is_empty() && !earlier.iter().any(|name| before.contains(name)) {
                        new = tree::rewrite(&new, &mut |e| match &e.kind {
                            ExprKind::Name(name) if earlier.contains(name) => {
                                Some(tree::expr(ExprKind::Previous(tree::named(name))))
                            }
                            _ => None,
                        });
                    }
                    let own = self.names.get(root).and_then(|names| names.get(block)).cloned();
                    let Some(own) = own else {
                        return Err(self.unsupported(place.span, "an assignment to what is no state"));
                    };
                    lines.push((own, new));
                }
                self.flush(step);
                for (own, value) in lines {
                    assigned.insert(own.clone());
                    let place = Path { root: tree::named(&own), parts: place.parts.clone(), span: Span::NONE };
                    step.push(tree::stmt(StmtKind::Assign { place, value }));
                }
            }
            StmtKind::Param(_) => {}
        }
        Ok(())
    }

    /// Lets that expressions asked for come before the line.
    fn flush(&mut self, step: &mut Vec<Stmt>) {
        step.extend(self.pending.drain(..).map(|binding| tree::stmt(StmtKind::Let(binding))));
    }

    fn unsupported(&self, span: Span, what: &str) -> Box<Diagnostic> {
        Box::new(Diagnostic::error("E0334", span, format!("a method cannot have {what}")))
    }

    /// Whether an expression is as wide as the variable: it has such a name in it, outside of functions with one real.
    fn is_wide(&self, e: &Expr) -> bool {
        match &e.kind {
            ExprKind::Name(name) => self.wide.contains(name) || &**name == "start",
            ExprKind::Previous(name) => self.wide.contains(&name.text),
            ExprKind::Call { func, args } => {
                if let ExprKind::Name(function) = &func.kind {
                    let scalar = matches!(
                        &**function,
                        "norm" | "norm1" | "sumsq" | "sum" | "lipschitz" | "opnorm" | "count" | "all" | "any"
                    );
                    let value = self.site.assigned.get(function).is_some();
                    let reduces = matches!(&**function, "max" | "min") && args.len() == 1;
                    if scalar || value || reduces {
                        return false;
                    }
                }
                self.is_wide(func)
                    || args.iter().any(|arg| matches!(&arg.value, ArgValue::Expr(value) if self.is_wide(value)))
            }
            ExprKind::Neg(inner) | ExprKind::Transpose(inner) => self.is_wide(inner),
            ExprKind::Chain { first, rest } => {
                self.is_wide(first) || rest.iter().any(|(_, operand)| self.is_wide(operand))
            }
            ExprKind::If { then, otherwise, .. } => self.is_wide(then) || self.is_wide(otherwise),
            ExprKind::Block(block) => block.value.as_ref().is_some_and(|value| self.is_wide(value)),
            ExprKind::MatMul(..) | ExprKind::Compare { .. } | ExprKind::Not(_) => false,
            ExprKind::Pow(base, _) => self.is_wide(base),
            _ => false,
        }
    }

    /// An expression of the method, in a block if it is as wide as the variable.
    fn expr(&mut self, e: &Expr, block: Option<usize>) -> Res<Expr> {
        let mut failure = None;
        let result = tree::rewrite(e, &mut |part| match self.changed(part, block) {
            Ok(new) => new,
            Err(diagnostic) => {
                failure.get_or_insert(diagnostic);
                Some(part.clone())
            }
        });
        failure.map_or(Ok(result), Err)
    }

    /// A loop, a condition or a function of the method: nothing leaves it.
    fn closed(&mut self, e: &Expr, block: Option<usize>) -> Res<Expr> {
        if let ExprKind::Loop(inner) = &e.kind
            && self.blocks() > 1
            && inner.inits.iter().any(|init| self.is_wide(&init.value))
        {
            return Err(Box::new(
                Diagnostic::error(
                    "E0334",
                    self.site.at,
                    format!(
                        "`{}` has a loop over its variable, which is one block; the problem has several",
                        self.method.name.text
                    ),
                )
                .help(
                    "minimize over one block at a time, with a problem for each; or, where the change of the gradient has a \
                     bound, take a method with a fixed step, such as `proximal_gradient`",
                ),
            ));
        }
        self.inside += 1;
        let mut failure = None;
        let result = tree::rewrite_inside(e, &mut |part| match self.changed(part, block) {
            Ok(new) => new,
            Err(diagnostic) => {
                failure.get_or_insert(diagnostic);
                Some(part.clone())
            }
        });
        self.inside -= 1;
        failure.map_or(Ok(result), Err)
    }

    /// What takes the place of a part of the method, if something does.
    fn changed(&mut self, e: &Expr, block: Option<usize>) -> Res<Option<Expr>> {
        match &e.kind {
            ExprKind::Loop(_) | ExprKind::Lambda { .. } | ExprKind::If { .. } | ExprKind::Comprehension { .. } => {
                self.closed(e, block).map(Some)
            }
            ExprKind::Name(name) if &**name == "start" => {
                let block = block.unwrap_or(0);
                let zeros = write::zeros(self.site.terms.block_shape(block));
                Ok(Some(self.site.starts[block].clone().unwrap_or(zeros)))
            }
            ExprKind::Name(name) => Ok(self.renamed(name, block).map(|own| tree::name(&own))),
            ExprKind::Previous(name) => {
                Ok(self.renamed(&name.text, block).map(|own| tree::expr(ExprKind::Previous(tree::named(&own)))))
            }
            ExprKind::Call { func, args } => {
                let args: Option<Vec<&Expr>> = args
                    .iter()
                    .map(|arg| match &arg.value {
                        ArgValue::Expr(value) if arg.name.is_none() => Some(value),
                        _ => None,
                    })
                    .collect();
                match args {
                    Some(args) => self.called(e, func, &args, block),
                    None => Ok(None),
                }
            }
            _ => Ok(None),
        }
    }

    fn renamed(&self, name: &Symbol, block: Option<usize>) -> Option<Symbol> {
        let names = self.names.get(name)?;
        names.get(block.unwrap_or(0)).or_else(|| names.first()).cloned()
    }

    fn called(&mut self, e: &Expr, func: &Expr, args: &[&Expr], block: Option<usize>) -> Res<Option<Expr>> {
        match (&func.kind, args) {
            // lipschitz(f), opnorm(K)
            (ExprKind::Name(word), of)
                if &**word == "lipschitz" && !of.is_empty() && of.iter().all(|of| self.role(of).is_some()) =>
            {
                Ok(Some(self.lipschitz(of)?))
            }
            (ExprKind::Name(word), [of]) if &**word == "opnorm" && self.map(of).is_some() => {
                Ok(Some(self.map_norm(of)?))
            }
            // f(v), K(v)
            (ExprKind::Name(function), [at]) if self.site.assigned.get(function).is_some() => {
                let at = self.at_blocks(at)?;
                Ok(Some(self.value(function, &at)?))
            }
            (ExprKind::Name(function), [at]) if self.site.assigned.map(function).is_some() => {
                let at = self.at_blocks(at)?;
                Ok(Some(self.mapped(function, &at, block.unwrap_or(0))?))
            }
            // Norms and sums go over all blocks, or the values of all maps.
            (ExprKind::Name(function), [of])
                if matches!(&**function, "norm" | "sumsq" | "norm1" | "max" | "min" | "sum")
                    && self.is_wide(of)
                    && self.width(self.is_stacked(of)) > 1 =>
            {
                let parts = self.at_all(of)?;
                let all = tree::call("flat", vec![tree::expr(ExprKind::Tuple(parts))]);
                Ok(Some(tree::call(function, vec![all])))
            }
            (ExprKind::Call { func: operator, args: of }, _) => {
                let (ExprKind::Name(operator), [of]) = (&operator.kind, of.as_slice()) else { return Ok(None) };
                let ArgValue::Expr(of) = &of.value else { return Ok(None) };
                match (&**operator, args) {
                    ("grad", [at]) if self.role(of).is_some() => {
                        let at = self.at_blocks(at)?;
                        Ok(Some(self.gradient(of, &at, block.unwrap_or(0))?))
                    }
                    ("adjoint", [u]) if self.map(of).is_some() && self.stacked() => {
                        let mut parts = Vec::new();
                        for (lane, u) in self.at_all(u)?.into_iter().enumerate() {
                            parts.push((BinaryOp::Add, self.adjoint(of, u, block.unwrap_or(0), lane)?));
                        }
                        let first = parts.remove(0).1;
                        Ok(Some(tree::chain(first, parts)))
                    }
                    ("adjoint", [u]) if self.map(of).is_some() => {
                        let u = self.expr(u, block)?;
                        Ok(Some(self.adjoint(of, u, block.unwrap_or(0), 0)?))
                    }
                    ("prox", [at, t]) => {
                        let at = self.expr(at, block)?;
                        let t = self.expr(t, block)?;
                        self.proximal(e, of, at, t, block.unwrap_or(0)).map(Some)
                    }
                    _ => Ok(None),
                }
            }
            _ => Ok(None),
        }
    }
}

fn is_start(e: &Expr) -> bool {
    matches!(&e.kind, ExprKind::Name(name) if &**name == "start")
}

/// A proximal operator is called in it.
fn has_operator(e: &Expr) -> bool {
    let mut found = false;
    crate::types::names_in(e, &mut |name| found |= name == "prox");
    found
}
