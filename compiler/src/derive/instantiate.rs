//! A method made a solver: its roles replaced by source, its variable by the blocks.
//!
//! A method is written over one variable; with several blocks each line that holds the variable stands once for each
//! block, all of them seeing the values from before (`previous`), and norms and sums go over all blocks together. Names of
//! the method that the problem has too get the block's name as suffix.

use super::calculus::{Applier, Refusal};
use super::catalogue::Catalogue;
use super::layer::Layer;
use super::normal::Part;
use super::rat::Rat;
use super::read::{Names, Reader};
use super::roles::{Assigned, Filled};
use super::smooth;
use super::term::{Id, Terms};
use super::{tree, write};
use crate::diagnostic::Diagnostic;
use crate::source::Span;
use crate::syntax::ast::{
    ArgValue, BinaryOp, Binder, Expr, ExprKind, Init, Let, LetKind, Method, Path, Problem, Solver, SolverBody, Stmt,
    StmtKind, Symbol, Trivia, Until,
};
use std::collections::{HashMap, HashSet};

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
    /// Names of the method, and their names in the solver, for each block if they are as wide as the variable.
    names: HashMap<Symbol, Vec<Symbol>>,
    wide: HashSet<Symbol>,
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
    let mut instance = Instance {
        names: HashMap::new(),
        wide: HashSet::new(),
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
        let method = self.site.method;
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
        Ok(Solver { name: tree::named(name), params: self.site.problem.params.clone(), result, body })
    }

    /// A function of the language that the method calls and the problem uses as a name of its own.
    fn shadowed(&self) -> Option<Symbol> {
        let own: Vec<Symbol> = self
            .site
            .problem
            .params
            .iter()
            .map(|param| param.name.text.clone())
            .chain(self.site.problem.over.iter().map(|block| block.name.text.clone()))
            .collect();
        let needed = ["grad", "norm", "opnorm", "max", "eye", "tol", "sum", "zeros", "flat", "vjp", "solve", "prox"];
        own.into_iter().find(|name| needed.contains(&&**name))
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
        let is_variable = self.site.method.over[0].text == *text;
        let wide = is_variable || (init.binder.ty.is_none() && self.is_wide(&init.value));
        if !wide {
            let value = self.expr(&init.value, None)?;
            let own = self.fresh(text, None);
            self.names.insert(text.clone(), vec![own.clone()]);
            states.push(Init { binder: Binder { name: tree::named(&own), ty: init.binder.ty.clone() }, value });
            return Ok(());
        }
        let mut own_names = Vec::new();
        for block in 0..self.blocks() {
            let value = if is_start(&init.value) {
                self.site.starts[block].clone().unwrap_or_else(|| tree::int(0))
            } else {
                self.expr(&init.value, Some(block))?
            };
            self.lets.append(&mut self.pending);
            let own = if is_variable {
                self.block_name(block)
            } else {
                let several = self.blocks() > 1;
                self.fresh(text, several.then_some(block))
            };
            let mut ty = self.site.problem.over[block].ty.clone();
            // The value of a map has a shape of its own, which comes from its start.
            if self.through_map(&init.value) {
                ty = None;
            }
            states.push(Init { binder: Binder { name: tree::named(&own), ty }, value });
            own_names.push(own);
        }
        self.names.insert(text.clone(), own_names);
        self.wide.insert(text.clone());
        Ok(())
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
                    for block in 0..self.blocks() {
                        let value = tree::signed(&self.expr(&init.value, Some(block))?);
                        let several = self.blocks() > 1;
                        let own = self.fresh(text, several.then_some(block));
                        self.flush(step);
                        step.push(tree::stmt(StmtKind::Let(tree::let_(&own, value))));
                        own_names.push(own);
                    }
                    self.names.insert(text.clone(), own_names);
                    self.wide.insert(text.clone());
                }
            }
            StmtKind::Assign { place, value } => {
                let root = &place.root.text;
                let wide = self.wide.contains(root);
                let count = if wide { self.blocks() } else { 1 };
                let before = assigned.clone();
                let mut lines = Vec::new();
                for block in 0..count {
                    let mut new = tree::signed(&self.expr(value, wide.then_some(block))?);
                    if self.site.layer && wide && !has_operator(value) {
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
                        self.site.method.name.text
                    ),
                )
                .help("take a method with a fixed step, such as `proximal_gradient`"),
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
            (ExprKind::Name(word), [of]) if &**word == "lipschitz" && self.role(of).is_some() => {
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
                Ok(Some(self.mapped(function, &at)?))
            }
            // Norms and sums go over all blocks.
            (ExprKind::Name(function), [of])
                if self.blocks() > 1
                    && matches!(&**function, "norm" | "sumsq" | "norm1" | "max" | "min" | "sum")
                    && self.is_wide(of) =>
            {
                let parts = self.at_blocks(of)?;
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
                    ("adjoint", [u]) if self.map(of).is_some() => {
                        let u = self.expr(u, block)?;
                        Ok(Some(self.adjoint(of, u, block.unwrap_or(0))?))
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

    fn role(&self, e: &Expr) -> Option<&Filled> {
        match &e.kind {
            ExprKind::Name(name) => self.site.assigned.get(name),
            _ => None,
        }
    }

    fn map(&self, e: &Expr) -> Option<Vec<usize>> {
        match &e.kind {
            ExprKind::Name(name) => self.site.assigned.map(name).map(<[usize]>::to_vec),
            _ => None,
        }
    }

    /// An expression in each block.
    fn at_blocks(&mut self, e: &Expr) -> Res<Vec<Expr>> {
        (0..self.blocks()).map(|block| self.expr(e, Some(block))).collect()
    }

    fn smooth_parts(&self, e: &Expr) -> Vec<usize> {
        match self.role(e) {
            Some(Filled::Smooth(parts)) => parts.clone(),
            _ => Vec::new(),
        }
    }

    fn lipschitz(&mut self, of: &Expr) -> Res<Expr> {
        let mut bounds = Vec::new();
        for i in self.smooth_parts(of) {
            let part = &self.site.parts[i];
            match smooth::lipschitz(self.site.terms, part) {
                Some(bound) => bounds.push(bound),
                None => {
                    return Err(Box::new(
                        Diagnostic::error("E0344", part.span, "no bound is known of how fast the gradient of this term changes, so that no step size follows")
                            .label(self.site.at, format!("`{}` needs one", self.site.method.name.text))
                            .help("take a method that finds its step: `by backtracking_proximal_gradient`; or write the term with functions whose curvature is known, such as `softplus`"),
                    ));
                }
            }
        }
        let total = self.site.terms.add(bounds);
        if self.site.terms.is_number(total, Rat::ZERO) {
            // Without curvature any step is allowed.
            return Ok(tree::int(1));
        }
        Ok(write::write(self.site.terms, total))
    }

    fn value(&mut self, role: &str, at: &[Expr]) -> Res<Expr> {
        let parts = match self.site.assigned.get(role) {
            Some(Filled::Smooth(parts) | Filled::Proximal(_, parts) | Filled::Mapped(_, parts)) => parts.clone(),
            None => Vec::new(),
        };
        let at = self.named_points(at, 2);
        let values: Vec<Id> = parts.iter().map(|i| smooth::value(self.site.terms, &self.site.parts[*i])).collect();
        let total = self.site.terms.add(values);
        Ok(self.write_at(total, &at))
    }

    /// Points that are written several times get a name.
    fn named_points(&mut self, at: &[Expr], uses: usize) -> Vec<Expr> {
        at.iter()
            .map(|point| {
                if uses < 2 || self.inside > 0 || tree::is_atomic(point) {
                    return point.clone();
                }
                let own = self.fresh("point", None);
                self.pending.push(tree::let_(&own, point.clone()));
                tree::name(&own)
            })
            .collect()
    }

    fn write_at(&self, id: Id, at: &[Expr]) -> Expr {
        let blocks: Vec<Option<Expr>> = at.iter().cloned().map(Some).collect();
        write::Writer { terms: self.site.terms, blocks: &blocks }.write(id)
    }

    fn gradient(&mut self, of: &Expr, at: &[Expr], block: usize) -> Res<Expr> {
        let mut gradients = Vec::new();
        for i in self.smooth_parts(of) {
            let part = self.site.parts[i].clone();
            gradients.push(smooth::gradient(self.site.terms, &part, block));
        }
        let shape = self.site.terms.block_shape(block).clone();
        if gradients.is_empty() {
            return Ok(write::zeros(&shape));
        }
        let total = self.site.terms.add(gradients);
        let at = self.named_points(at, 2);
        Ok(self.write_at(total, &at))
    }

    fn proximal(&mut self, e: &Expr, of: &Expr, at: Expr, t: Expr, block: usize) -> Res<Expr> {
        if let ExprKind::Call { func, args } = &of.kind
            && let (ExprKind::Name(word), [arg]) = (&func.kind, args.as_slice())
            && &**word == "conjugate"
            && let ArgValue::Expr(inner) = &arg.value
        {
            return self.conjugate(inner, at, t, block);
        }
        match self.role(of) {
            Some(Filled::Proximal(operators, _)) => {
                let operator = operators[block].clone();
                let at = if self.site.layer { self.layered(at, block)? } else { at };
                self.applied(&operator, at, &t, block)
            }
            Some(Filled::Smooth(parts)) => {
                let parts = parts.clone();
                self.minimizer(&parts, at, t, block)
            }
            Some(Filled::Mapped(_, parts)) => {
                let parts = parts.clone();
                let operator = self.mapped_operator(&parts)?;
                self.applied(&operator, at, &t, block)
            }
            None => Err(Box::new(Diagnostic::error("E0334", e.span, "`prox` in a method is of one of its roles"))),
        }
    }

    fn applied(&mut self, operator: &super::calculus::Proximal, at: Expr, t: &Expr, block: usize) -> Res<Expr> {
        let several = self.blocks() > 1;
        let Instance { site, taken, lets, values, stable, origins, .. } = self;
        let own: HashSet<Symbol> = site.problem.params.iter().map(|param| param.name.text.clone()).collect();
        let catalogue = site.catalogue;
        let hidden = |name: &str| own.contains(name);
        let data = own.clone();
        let block_name = site.problem.over[block].name.text.clone();
        let mut name = |value: Expr| -> Expr {
            let mut steady = true;
            crate::types::names_in(&value, &mut |name| {
                let known = stable.contains(name) || data.contains(name) || crate::builtins::find(name).is_some();
                steady &=
                    known || site.kept.iter().any(|binding| binds(binding, name)) || catalogue.function(name).is_some();
            });
            if tree::is_atomic(&value) || !steady {
                return value;
            }
            let text = crate::syntax::pretty::expr(&value);
            if let Some(known) = values.get(&text) {
                return tree::name(known);
            }
            let mut own: Symbol = if several { format!("theta_{block_name}").into() } else { "theta".into() };
            if taken.contains(&own) {
                own = format!("theta_{block_name}").into();
            }
            let base = own.clone();
            let mut number = 2;
            while taken.contains(&own) {
                own = format!("{base}{number}").into();
                number += 1;
            }
            taken.insert(own.clone());
            stable.insert(own.clone());
            values.insert(text, own.clone());
            origins.push((own.clone(), Origin::Threshold));
            lets.push(tree::let_(&own, value));
            tree::name(&own)
        };
        let mut applier = Applier { terms: site.terms, catalogue, hidden: &hidden, name: &mut name };
        applier.apply(operator, at, t).map_err(|refusal| Box::new(no_operator(&refusal)))
    }

    /// The affine argument of an update, as one map of each input and state.
    fn layered(&mut self, e: Expr, block: usize) -> Res<Expr> {
        let mut states: Vec<Symbol> = Vec::new();
        for name in &self.wide {
            states.extend(self.names[name].iter().cloned());
        }
        // In the order of the blocks, then of their names.
        states.sort_by_key(|state| {
            (self.site.problem.over.iter().position(|binder| binder.name.text == *state), state.clone())
        });
        let several = self.blocks() > 1;
        let site = super::layer::Site {
            terms: self.site.terms,
            catalogue: self.site.catalogue,
            problem: self.site.problem,
            stable: &self.stable,
            states: &states,
            block,
            several,
        };
        let Some((value, new, layer)) = super::layer::split(site, &e) else { return Ok(e) };
        let mut put: Vec<(Symbol, Expr)> = Vec::new();
        for (wanted, value) in new {
            let text = crate::syntax::pretty::expr(&value);
            let own = match self.values.get(&text) {
                Some(known) => known.clone(),
                None => {
                    let own = self.fresh(&wanted, (!several && self.taken.contains(&wanted)).then_some(block));
                    self.stable.insert(own.clone());
                    self.values.insert(text, own.clone());
                    let origin = if wanted.starts_with('S') { Origin::StateMap } else { Origin::InputMap };
                    self.origins.push((own.clone(), origin));
                    self.lets.push(tree::let_(&own, value));
                    own
                }
            };
            put.push((format!("let {wanted}").into(), tree::name(&own)));
        }
        self.layers.push(layer);
        Ok(tree::put(&value, &put))
    }

    /// prox_{t g*}(u) = u - t prox_{g/t}(u/t), Moreau's identity.
    fn conjugate(&mut self, of: &Expr, at: Expr, t: Expr, block: usize) -> Res<Expr> {
        let operator = match self.role(of) {
            Some(Filled::Proximal(operators, _)) => operators[block].clone(),
            Some(Filled::Mapped(_, parts)) => {
                let parts = parts.clone();
                self.mapped_operator(&parts)?
            }
            Some(Filled::Smooth(_)) | None => {
                return Err(Box::new(Diagnostic::error(
                    "E0334",
                    of.span,
                    "`conjugate` in a method is of a proximable role",
                )));
            }
        };
        let at = self.named_points(&[at], 2).swap_remove(0);
        let inner = tree::chain(at.clone(), vec![(BinaryOp::Div, t.clone())]);
        let inverse = tree::chain(tree::int(1), vec![(BinaryOp::Div, t.clone())]);
        let inner = self.applied(&operator, inner, &inverse, block)?;
        Ok(tree::sub(at, tree::chain(t, vec![(BinaryOp::Mul, inner)])))
    }

    /// The operator of a term behind a map, as a function of the map's value.
    fn mapped_operator(&mut self, parts: &[usize]) -> Res<super::calculus::Proximal> {
        let mut pieces = Vec::new();
        for i in parts {
            let part = &self.site.parts[*i];
            let super::normal::Kind::Atom(atom) = &part.kind else { continue };
            let block =
                (0..self.site.problem.over.len()).find(|block| self.site.terms.depends(part.arg, *block)).unwrap_or(0);
            let var = self.site.terms.block(block);
            let offset = self.site.terms.offset(part.arg, var);
            let zero = matches!(self.site.terms.op(offset), super::term::Op::Number(Rat::ZERO));
            let factor = self.site.terms.int(1);
            pieces.push(super::calculus::Piece {
                atom: atom.clone(),
                extra: part.extra.clone(),
                weight: part.weight,
                factor,
                shift: if zero { None } else { Some(offset) },
                span: part.span,
                constraint: part.constraint,
            });
        }
        super::calculus::proximal(self.site.terms, pieces).map_err(|refusal| Box::new(no_operator(&refusal)))
    }

    /// The map of a role, as a term in its block.
    fn map_term(&mut self, name: &str) -> Res<(Id, usize)> {
        let parts = self.site.assigned.map(name).map(<[usize]>::to_vec).unwrap_or_default();
        match parts.as_slice() {
            [] => Ok((self.site.terms.block(0), 0)),
            [only] => {
                let arg = self.site.parts[*only].arg;
                let block = (0..self.blocks()).find(|block| self.site.terms.depends(arg, *block)).unwrap_or(0);
                let var = self.site.terms.block(block);
                Ok((self.site.terms.linear_part(arg, var), block))
            }
            [first, second, ..] => {
                let (first, second) = (&self.site.parts[*first], &self.site.parts[*second]);
                if self.map_of(first) == self.map_of(second) {
                    let map = self.map_of(first);
                    return Ok((map, 0));
                }
                Err(Box::new(
                    Diagnostic::error("E0341", second.span, format!("`{}` takes the terms behind one linear map; this is a second one", self.site.method.name.text))
                        .label(first.span, "the first")
                        .help("put both maps into one, `concat(K1 @ y, K2 @ y)`, or replace one of the terms by a smooth one, such as `huber` for a norm"),
                ))
            }
        }
    }

    fn map_of(&mut self, part: &Part) -> Id {
        let block =
            (0..self.site.problem.over.len()).find(|block| self.site.terms.depends(part.arg, *block)).unwrap_or(0);
        let var = self.site.terms.block(block);
        self.site.terms.linear_part(part.arg, var)
    }

    fn mapped(&mut self, name: &str, at: &[Expr]) -> Res<Expr> {
        let (map, own) = self.map_term(name)?;
        // A map takes zero to zero.
        let shape = self.site.terms.shape(map).clone();
        if at[own] == write::zeros(self.site.terms.block_shape(own)) && shape.is_some() {
            return Ok(write::zeros(&shape));
        }
        let at = self.named_points(at, if tree::is_atomic(&at[0]) { 1 } else { 2 });
        Ok(self.write_at(map, &at))
    }

    fn map_norm(&mut self, of: &Expr) -> Res<Expr> {
        let ExprKind::Name(name) = &of.kind else { return Ok(tree::int(1)) };
        let (map, block) = self.map_term(name)?;
        let var = self.site.terms.block(block);
        match self.site.terms.norm_bound(map, var) {
            Some(bound) => Ok(write::write(self.site.terms, bound)),
            None => Err(Box::new(
                Diagnostic::error("E0344", self.site.at, "no bound is known of the norm of the linear map")
                    .help("write the map with products, convolutions, slices and sums; or give the step yourself, in a method of your own"),
            )),
        }
    }

    fn adjoint(&mut self, of: &Expr, u: Expr, block: usize) -> Res<Expr> {
        let ExprKind::Name(name) = &of.kind else { return Ok(u) };
        let (map, own) = self.map_term(name)?;
        if own != block {
            return Ok(write::zeros(self.site.terms.block_shape(block)));
        }
        let var = self.site.terms.block(block);
        let hole: Symbol = "the cotangent".into();
        let shape = self.site.terms.shape(map).clone();
        self.site.terms.declare_name(&hole, shape);
        let cotangent = self.site.terms.name(&hole);
        let back = self.site.terms.adjoint(map, var, cotangent);
        let u = self.named_points(&[u], 2).swap_remove(0);
        let written = write::Writer { terms: self.site.terms, blocks: &[] }.write_with(back, &hole, &u);
        Ok(written)
    }

    /// argmin_u t f(u) + |u - at|^2/2 for a quadratic f: one linear solve.
    fn minimizer(&mut self, parts: &[usize], at: Expr, t: Expr, block: usize) -> Res<Expr> {
        let var = self.site.terms.block(block);
        let mut gradients = Vec::new();
        for i in parts {
            let part = self.site.parts[*i].clone();
            gradients.push(smooth::gradient(self.site.terms, &part, block));
        }
        let total = self.site.terms.add(gradients);
        let map = self.site.terms.linear_part(total, var);
        let offset = self.site.terms.offset(total, var);
        let step: Symbol = "the step".into();
        let t_id = self.site.terms.scalar_name(&step);
        let hole: Symbol = "the point".into();
        let shape = self.site.terms.shape(var).clone();
        self.site.terms.declare_name(&hole, shape);
        let point = self.site.terms.name(&hole);
        let terms = &mut *self.site.terms;
        // (I + t H) u = point - t c
        let moved = terms.mul(vec![t_id, offset]);
        let right = terms.sub(point, moved);
        let solution = match terms.factor_of(map, var) {
            Some(factor) => {
                let one = terms.int(1);
                let scaled = terms.mul(vec![t_id, factor]);
                let divisor = terms.add(vec![one, scaled]);
                terms.div(right, divisor)
            }
            None => match terms.matrix_of(map, var) {
                Some(matrix) => {
                    let scaled = terms.mul(vec![t_id, matrix]);
                    let identity = terms.matrix_of(var, var);
                    let Some(identity) = identity else { return Ok(at) };
                    let whole = terms.add(vec![identity, scaled]);
                    let shape = terms.shape(var).clone();
                    terms.intern(super::term::Op::Call("solve".into()), &[whole, right], shape)
                }
                None => {
                    let span = parts.first().map_or(self.site.at, |i| self.site.parts[*i].span);
                    return Err(Box::new(
                        Diagnostic::error("E0345", span, "the exact minimizer of these terms needs the matrix of their map, and it is not written as one")
                            .label(self.site.at, format!("`{}` minimizes them exactly", self.site.method.name.text))
                            .help("take a method that uses gradients only, such as `pdhg`; or write the map as a product with a matrix"),
                    ));
                }
            },
        };
        let writer = write::Writer { terms: self.site.terms, blocks: &[] };
        let written = writer.write_with(solution, &step, &t);
        Ok(tree::put(&written, &[(hole, at)]))
    }
}

fn binds(binding: &Let, name: &str) -> bool {
    let mut found = false;
    crate::types::names_bound(binding, &mut |own| found |= own == name);
    found
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

fn no_operator(refusal: &Refusal) -> Diagnostic {
    Diagnostic::error("E0341", refusal.span, format!("no proximal operator is known here: {}", refusal.reason))
        .help("declare a function of this term with its own `prox` rule, or replace it by a smooth one, such as `huber` for an absolute value")
}
