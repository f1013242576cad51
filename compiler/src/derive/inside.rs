//! The expressions of an item, and the expressions in them, in runs of solvers and trainings too: wherever `derive` may stand.

use super::tree;
use crate::syntax::ast::{
    ArgValue, Clause, ClauseKind, Expr, ExprKind, Init, Item, ItemKind, Let, LetKind, LoopKind, Param, SolverBody,
    Stmt, StmtKind, Train, Type, TypeKind, Using,
};
use std::collections::HashSet;
use std::rc::Rc;

/// Gives an expression for another, or nothing if it stays.
type Change<'a> = dyn FnMut(&Expr) -> Option<Expr> + 'a;

/// The items in the blocks of an item.
pub fn nested(item: &ItemKind) -> impl Iterator<Item = &Item> {
    let (first, second): (&[Item], &[Item]) = match item {
        ItemKind::For { body, .. } => (body, &[]),
        ItemKind::Test { items, .. } => (items, &[]),
        ItemKind::If { then, otherwise, .. } => (then, otherwise),
        _ => (&[], &[]),
    };
    first.iter().chain(second)
}

/// Changes the expressions of an item as wholes; those of nested items stay.
pub fn change(item: &mut ItemKind, change: &mut Change) {
    match item {
        ItemKind::Fn(function) => {
            let function = Rc::make_mut(function);
            params(&mut function.params, change);
            whole(&mut function.body, change);
        }
        ItemKind::Problem(problem) => {
            let problem = Rc::make_mut(problem);
            params(&mut problem.params, change);
            problem.lets.iter_mut().for_each(|binding| one_let(binding, change));
            whole(&mut problem.objective, change);
            for constraint in &mut problem.constraints {
                whole(&mut constraint.expr, change);
                constraint.set.iter_mut().for_each(|set| whole(set, change));
            }
        }
        ItemKind::Method(method) => body(&mut Rc::make_mut(method).body, change),
        ItemKind::Solver(solver) => {
            let solver = Rc::make_mut(solver);
            params(&mut solver.params, change);
            body(&mut solver.body, change);
            whole(&mut solver.result, change);
        }
        ItemKind::Network(network) => {
            let network = Rc::make_mut(network);
            network.template.iter_mut().for_each(|list| params(list, change));
            params(&mut network.params, change);
            network.body.stmts.iter_mut().for_each(|stmt| statement(stmt, change));
            network.body.value.iter_mut().for_each(|value| whole(value, change));
        }
        ItemKind::Custom(rule) => whole(&mut Rc::make_mut(rule).body, change),
        ItemKind::SolverAlias { value, .. } | ItemKind::NetworkAlias { value, .. } | ItemKind::Expr(value) => {
            whole(value, change);
        }
        ItemKind::Arg { default, .. } => default.iter_mut().for_each(|value| whole(value, change)),
        ItemKind::Let(binding) => one_let(binding, change),
        ItemKind::For { range, .. } => {
            range.start.iter_mut().for_each(|start| whole(start, change));
            whole(&mut range.end, change);
        }
        ItemKind::If { cond, .. } => whole(cond, change),
        ItemKind::Print(values) | ItemKind::Assert(values) => values.iter_mut().for_each(|value| whole(value, change)),
        ItemKind::Use(_) | ItemKind::Precision(_) | ItemKind::Test { .. } | ItemKind::Error => {}
    }
}

/// The names that an item takes from around it: those in it that it binds nowhere itself.
pub fn free_names(item: &ItemKind) -> HashSet<String> {
    let (mut used, mut bound) = (HashSet::new(), HashSet::new());
    change(&mut item.clone(), &mut |e| {
        crate::types::names_in(e, &mut |name| {
            used.insert(name.to_string());
        });
        tree::rewrite(e, &mut |part| {
            bound_by(part, &mut bound);
            None
        });
        None
    });
    let mut own = |params: &[Param]| {
        for param in params {
            bound.insert(param.name.text.to_string());
            dims(param.ty.as_ref(), &mut bound);
        }
    };
    match item {
        ItemKind::Fn(function) => own(&function.params),
        ItemKind::Problem(problem) => {
            own(&problem.params);
            for block in &problem.over {
                bound.insert(block.name.text.to_string());
                dims(block.ty.as_ref(), &mut bound);
            }
            problem.lets.iter().for_each(|binding| bound_by_let(binding, &mut bound));
        }
        ItemKind::Solver(solver) => {
            own(&solver.params);
            solver.body.lets.iter().for_each(|binding| bound_by_let(binding, &mut bound));
            bound.extend(solver.body.states.iter().map(|init| init.binder.name.text.to_string()));
            bound.extend(solver.body.counter.iter().map(|counter| counter.text.to_string()));
            for stmt in &solver.body.step {
                if let StmtKind::Let(binding) = &stmt.kind {
                    bound_by_let(binding, &mut bound);
                }
            }
        }
        ItemKind::Custom(rule) => {
            bound.extend(rule.args.iter().chain(&rule.after).chain(&rule.result).map(|name| name.text.to_string()));
        }
        _ => {}
    }
    used.retain(|name| !bound.contains(name));
    used
}

/// The dimension names of a type, which it binds.
fn dims(ty: Option<&Type>, bound: &mut HashSet<String>) {
    if let Some(Type { kind: TypeKind::Array { dims, .. }, .. }) = ty {
        for dim in dims {
            crate::types::names_in(dim, &mut |name| {
                bound.insert(name.to_string());
            });
        }
    }
}

fn bound_by_let(binding: &Let, bound: &mut HashSet<String>) {
    crate::types::names_bound(binding, &mut |name| {
        bound.insert(name.to_string());
    });
}

/// The names that an expression binds for its parts.
fn bound_by(e: &Expr, bound: &mut HashSet<String>) {
    match &e.kind {
        ExprKind::Lambda { params, .. } => bound.extend(params.iter().map(|param| param.name.text.to_string())),
        ExprKind::Comprehension { gens, .. } => bound.extend(gens.iter().map(|inner| inner.name.text.to_string())),
        ExprKind::Call { args, .. } => {
            for arg in args {
                if let ArgValue::Generator { gens, .. } = &arg.value {
                    bound.extend(gens.iter().map(|inner| inner.name.text.to_string()));
                }
            }
        }
        ExprKind::Block(block) => lets_of(&block.stmts, bound),
        ExprKind::Loop(inner) => {
            bound.extend(inner.inits.iter().map(|init| init.binder.name.text.to_string()));
            if let LoopKind::For { var: Some(var), .. } = &inner.kind {
                bound.insert(var.text.to_string());
            }
            lets_of(&inner.body, bound);
        }
        _ => {}
    }
}

fn lets_of(stmts: &[Stmt], bound: &mut HashSet<String>) {
    for stmt in stmts {
        if let StmtKind::Let(binding) = &stmt.kind {
            bound_by_let(binding, bound);
        }
    }
}

fn whole(e: &mut Expr, change: &mut Change) {
    if let Some(new) = change(e) {
        *e = new;
    }
}

fn params(list: &mut [Param], change: &mut Change) {
    list.iter_mut().filter_map(|param| param.default.as_mut()).for_each(|value| whole(value, change));
}

fn values(list: &mut [Init], change: &mut Change) {
    list.iter_mut().for_each(|init| whole(&mut init.value, change));
}

fn one_let(binding: &mut Let, change: &mut Change) {
    match &mut binding.kind {
        LetKind::Inits(inits) => values(inits, change),
        LetKind::Tuple(_, value) => whole(value, change),
    }
}

fn statement(stmt: &mut Stmt, change: &mut Change) {
    match &mut stmt.kind {
        StmtKind::Let(binding) => one_let(binding, change),
        StmtKind::Param(inits) => values(inits, change),
        StmtKind::Assign { value, .. } => whole(value, change),
    }
}

fn body(body: &mut SolverBody, change: &mut Change) {
    body.lets.iter_mut().for_each(|binding| one_let(binding, change));
    values(&mut body.states, change);
    body.step.iter_mut().for_each(|stmt| statement(stmt, change));
    if let Some(until) = &mut body.until {
        whole(&mut until.cond, change);
        until.within.iter_mut().for_each(|within| whole(within, change));
    }
}

/// Changes parts of an expression from the outside in, also in runs of solvers and trainings.
pub fn rewrite(e: &Expr, change: &mut Change) -> Expr {
    tree::rewrite(e, &mut |part| {
        if let Some(new) = change(part) {
            return Some(new);
        }
        let kind = match &part.kind {
            ExprKind::Unroll { call, count, backprop, checkpoint, learn } => ExprKind::Unroll {
                call: boxed(call, change),
                count: boxed(count, change),
                backprop: backprop.as_ref().map(|count| boxed(count, change)),
                checkpoint: checkpoint.clone(),
                learn: learn.clone().map(|mut learn| {
                    learn.from = learn.from.as_ref().map(|from| boxed(from, change));
                    learn
                }),
            },
            ExprKind::Trace { call, count, every, record } => ExprKind::Trace {
                call: boxed(call, change),
                count: boxed(count, change),
                every: every.as_ref().map(|count| boxed(count, change)),
                record: record.iter().map(|(name, value)| (name.clone(), rewrite(value, change))).collect(),
            },
            ExprKind::Train(train) => ExprKind::Train(Box::new(Train {
                clauses: train.clauses.iter().map(|part| clause(part, change)).collect(),
                ..(**train).clone()
            })),
            _ => return None,
        };
        Some(Expr { kind, span: part.span })
    })
}

fn boxed(e: &Expr, change: &mut Change) -> Box<Expr> {
    Box::new(rewrite(e, change))
}

/// A clause of a training; the optimizer's own arguments too.
fn clause(part: &Clause, change: &mut Change) -> Clause {
    let mut part = part.clone();
    let mut each = |e: &mut Expr| *e = rewrite(e, change);
    let using = |list: &mut Vec<Using>, each: &mut dyn FnMut(&mut Expr)| {
        list.iter_mut().for_each(|using| each(&mut using.optimizer));
    };
    match &mut part.kind {
        ClauseKind::Each { data, batch, .. } => {
            each(data);
            batch.iter_mut().for_each(each);
        }
        ClauseKind::Batch { data, of, .. } => {
            each(data);
            each(of);
        }
        ClauseKind::Let(binding) => one_let(binding, &mut |e| Some(rewrite(e, change))),
        ClauseKind::State(inits) => inits.iter_mut().for_each(|init| each(&mut init.value)),
        ClauseKind::Objective { value, using: list, repeat, .. } => {
            each(value);
            using(list, &mut each);
            repeat.iter_mut().for_each(each);
        }
        ClauseKind::Using(list) => using(list, &mut each),
        ClauseKind::Epochs { count, .. } | ClauseKind::Steps { count, .. } => each(count),
        ClauseKind::Update(stmts) => {
            stmts.iter_mut().for_each(|stmt| statement(stmt, &mut |e| Some(rewrite(e, change))));
        }
        ClauseKind::Record { fields, every } => {
            fields.iter_mut().for_each(|(_, value)| each(value));
            every.iter_mut().for_each(each);
        }
        ClauseKind::Keep { patience, .. } => patience.iter_mut().for_each(each),
        ClauseKind::Until(cond) => each(cond),
        ClauseKind::Error => {}
    }
    part
}
