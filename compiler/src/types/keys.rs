//! One use of a key on each path.
//!
//! A key names numbers: two draws of one key are the same numbers, which is hardly ever meant and hard to see in the results. In a
//! definition each key that has a name there is used at most once on each path, and not in a pass of a loop or an element of a
//! comprehension that runs more often than the key is made. `fold_in` makes keys of one as often as wished, so that its key is not
//! used by it. At the top level a key is a value like any other.

use super::Ctx;
use crate::diagnostic::Diagnostic;
use crate::source::Span;
use crate::syntax::ast::{
    ArgValue, Block, Expr, ExprKind, Generator, Index, Init, ItemKind, Let, LetKind, LoopKind, Module, Name, Param,
    Range, ScalarKind, SolverBody, Stmt, StmtKind, Symbol, Type, TypeKind,
};

/// Reports keys that the definitions of a module use twice.
pub fn check(ctx: &mut Ctx, module: &Module) {
    for item in &module.items {
        let mut walk = Walk { names: Vec::new(), passes: 0, found: Vec::new() };
        match &item.kind {
            ItemKind::Fn(function) => walk.definition(&function.params, &function.body),
            ItemKind::Network(network) => {
                walk.params(&network.params);
                walk.block(&network.body);
            }
            ItemKind::Solver(solver) => {
                walk.params(&solver.params);
                walk.solver(&solver.body, &solver.result);
            }
            ItemKind::Let(Let { kind: LetKind::Inits(inits), .. }) => {
                for init in inits {
                    if let ExprKind::Lambda { params, body } = &init.value.kind {
                        walk.definition(params, body);
                    }
                }
            }
            _ => {}
        }
        for diagnostic in walk.found {
            ctx.report(diagnostic);
        }
    }
}

/// A name that is in force.
struct Known {
    text: Symbol,
    /// The number of passes around the place where it is bound, and its first use, if it is a key.
    key: Option<(usize, Option<Span>)>,
}

struct Walk {
    names: Vec<Known>,
    /// Loops and comprehensions around.
    passes: usize,
    found: Vec<Diagnostic>,
}

impl Walk {
    fn bind(&mut self, name: &Name, is_key: bool) {
        self.names.push(Known { text: name.text.clone(), key: is_key.then_some((self.passes, None)) });
    }

    fn definition(&mut self, params: &[Param], body: &Expr) {
        let count = self.names.len();
        self.params(params);
        self.expr(body);
        self.names.truncate(count);
    }

    fn params(&mut self, params: &[Param]) {
        for param in params {
            self.bind(&param.name, is_key_type(param.ty.as_ref()));
        }
    }

    fn used(&mut self, name: &Symbol, span: Span) {
        let passes = self.passes;
        let Some(Known { key: Some((bound, first)), .. }) =
            self.names.iter_mut().rev().find(|known| known.text == *name)
        else {
            return;
        };
        let help = "`split(k, 2)` makes two keys of one, `fold_in(k, i)` one for each number i";
        if passes > *bound {
            let message = format!("the key `{name}` is used again in each pass, where it names the same numbers");
            self.found.push(Diagnostic::error("E0335", span, message).help(help));
        } else if let Some(first) = *first {
            let message = format!("the key `{name}` is used twice: what is drawn here was drawn before");
            self.found.push(Diagnostic::error("E0335", span, message).label(first, "the first use").help(help));
        } else {
            *first = Some(span);
        }
    }

    /// Whether a value is a key, as far as its form tells.
    fn is_key(&self, value: &Expr) -> bool {
        match &value.kind {
            ExprKind::Name(name) => {
                self.names.iter().rev().find(|known| known.text == *name).is_some_and(|known| known.key.is_some())
            }
            ExprKind::Call { func, .. } => {
                matches!(&func.kind, ExprKind::Name(name) if matches!(&**name, "key" | "fold_in" | "draw_key"))
            }
            _ => false,
        }
    }

    fn bind_let(&mut self, l: &Let) {
        match &l.kind {
            LetKind::Inits(inits) => self.inits(inits),
            LetKind::Tuple(names, value) => {
                self.expr(value);
                let keys = matches!(&value.kind, ExprKind::Call { func, .. }
                    if matches!(&func.kind, ExprKind::Name(name) if &**name == "split"));
                names.iter().for_each(|name| self.bind(name, keys));
            }
        }
    }

    fn inits(&mut self, inits: &[Init]) {
        for init in inits {
            let is_key = is_key_type(init.binder.ty.as_ref()) || (init.binder.ty.is_none() && self.is_key(&init.value));
            self.expr(&init.value);
            self.bind(&init.binder.name, is_key);
        }
    }

    fn block(&mut self, block: &Block) {
        let count = self.names.len();
        self.stmts(&block.stmts);
        if let Some(value) = &block.value {
            self.expr(value);
        }
        self.names.truncate(count);
    }

    fn stmts(&mut self, stmts: &[Stmt]) {
        for stmt in stmts {
            match &stmt.kind {
                StmtKind::Let(l) => self.bind_let(l),
                StmtKind::Param(inits) => inits.iter().for_each(|init| self.bind(&init.binder.name, false)),
                StmtKind::Assign { place, value } => {
                    self.expr(value);
                    // A state that is assigned has a new value.
                    let known = self.names.iter_mut().rev().find(|known| known.text == place.root.text);
                    if let Some(Known { key: Some((_, first)), .. }) = known {
                        *first = None;
                    }
                }
            }
        }
    }

    /// What runs once a pass; the names that `bind` adds are new in each.
    fn pass(&mut self, run: impl FnOnce(&mut Walk)) {
        let count = self.names.len();
        self.passes += 1;
        run(self);
        self.passes -= 1;
        self.names.truncate(count);
    }

    fn solver(&mut self, body: &SolverBody, result: &Expr) {
        body.lets.iter().for_each(|l| self.bind_let(l));
        body.states.iter().for_each(|state| self.expr(&state.value));
        self.pass(|walk| {
            for state in &body.states {
                let is_key = is_key_type(state.binder.ty.as_ref()) || walk.is_key(&state.value);
                walk.bind(&state.binder.name, is_key);
            }
            body.counter.iter().for_each(|name| walk.bind(name, false));
            walk.stmts(&body.step);
            body.until.iter().for_each(|until| walk.expr(&until.cond));
        });
        self.expr(result);
    }

    fn range(&mut self, range: &Range) {
        range.start.iter().for_each(|start| self.expr(start));
        self.expr(&range.end);
    }

    fn generators(&mut self, gens: &[Generator], body: &Expr) {
        gens.iter().for_each(|generator| self.range(&generator.range));
        self.pass(|walk| {
            gens.iter().for_each(|generator| walk.bind(&generator.name, false));
            walk.expr(body);
        });
    }

    fn uses(&self) -> Vec<Option<Span>> {
        self.names.iter().map(|known| known.key.and_then(|(_, first)| first)).collect()
    }

    fn set_uses(&mut self, uses: &[Option<Span>], join: bool) {
        for (known, used) in self.names.iter_mut().zip(uses) {
            if let Some((_, first)) = &mut known.key {
                *first = if join { first.or(*used) } else { *used };
            }
        }
    }

    fn expr(&mut self, expr: &Expr) {
        match &expr.kind {
            ExprKind::Name(name) => self.used(name, expr.span),
            ExprKind::Int(_) | ExprKind::Real(..) | ExprKind::Str(_) | ExprKind::Bool(_) | ExprKind::Hole => {}
            ExprKind::Previous(_) | ExprKind::Error => {}
            // These stand at the top level.
            ExprKind::Train(_) | ExprKind::Derive { .. } => {}
            ExprKind::Tuple(items) | ExprKind::Array(items) => items.iter().for_each(|item| self.expr(item)),
            ExprKind::Comprehension { body, gens } => self.generators(gens, body),
            ExprKind::Record(fields) => fields.iter().for_each(|(_, value)| self.expr(value)),
            ExprKind::Block(block) => self.block(block),
            ExprKind::Loop(l) => {
                l.inits.iter().for_each(|init| self.expr(&init.value));
                if let LoopKind::For { range, .. } = &l.kind {
                    self.range(range);
                }
                self.pass(|walk| {
                    for init in &l.inits {
                        let is_key = is_key_type(init.binder.ty.as_ref()) || walk.is_key(&init.value);
                        walk.bind(&init.binder.name, is_key);
                    }
                    if let LoopKind::For { var: Some(var), .. } = &l.kind {
                        walk.bind(var, false);
                    }
                    walk.stmts(&l.body);
                    if let LoopKind::Until { cond, .. } = &l.kind {
                        walk.expr(cond);
                    }
                });
            }
            ExprKind::If { cond, then, otherwise } => {
                self.expr(cond);
                let before = self.uses();
                self.expr(then);
                let after = self.uses();
                self.set_uses(&before, false);
                self.expr(otherwise);
                self.set_uses(&after, true);
            }
            ExprKind::Lambda { params, body } => self.definition(params, body),
            ExprKind::Unroll { call, count, .. } => {
                self.expr(call);
                self.expr(count);
            }
            ExprKind::Implicit(call) => self.expr(call),
            ExprKind::Trace { call, count, .. } => {
                self.expr(call);
                self.expr(count);
            }
            ExprKind::Neg(base) | ExprKind::Not(base) | ExprKind::Transpose(base) => self.expr(base),
            ExprKind::Chain { first, rest } => {
                self.expr(first);
                rest.iter().for_each(|(_, operand)| self.expr(operand));
            }
            ExprKind::MatMul(a, b) | ExprKind::Pow(a, b) | ExprKind::Compare { left: a, right: b, .. } => {
                self.expr(a);
                self.expr(b);
            }
            ExprKind::Call { func, args } => {
                let folds = matches!(&func.kind, ExprKind::Name(name) if &**name == "fold_in");
                self.expr(func);
                for (i, arg) in args.iter().enumerate() {
                    match &arg.value {
                        ArgValue::Blank => {}
                        ArgValue::Expr(Expr { kind: ExprKind::Name(_), .. }) if folds && i == 0 => {}
                        ArgValue::Expr(value) | ArgValue::Each(_, value) => self.expr(value),
                        ArgValue::Generator { body, gens } => self.generators(gens, body),
                    }
                }
            }
            ExprKind::Index { base, indices } => {
                self.expr(base);
                for index in indices {
                    match index {
                        Index::At(at) => self.expr(at),
                        Index::Range { start, end, step, .. } => {
                            [start, end, step].into_iter().flatten().for_each(|bound| self.expr(bound));
                        }
                    }
                }
            }
            ExprKind::Field { base, .. } => self.expr(base),
        }
    }
}

fn is_key_type(ty: Option<&Type>) -> bool {
    match ty {
        Some(Type { kind: TypeKind::Array { kind: ScalarKind::Key, dims }, .. }) => dims.is_empty(),
        Some(_) | None => false,
    }
}
