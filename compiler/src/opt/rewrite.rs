//! What the passes have in common: rebuilding a Graph forward, with knowledge of what is already built.

use super::cse::Seen;
use crate::ir::builder::Builder;
use crate::ir::graph::{Eqn, Graph, Op, Scan, Type, Var};
use dp_runtime::tensor::{DType, Tensor};
use std::collections::HashMap;
use std::rc::Rc;

/// Sub-Graphs that a pass has rewritten, so that a shared one is rewritten once and stays shared.
pub type Memo = HashMap<*const Graph, Rc<Graph>>;

/// The operation with each sub-Graph rewritten.
pub fn map_bodies(op: &Op, memo: &mut Memo, pass: fn(&Graph, &mut Memo) -> Graph) -> Op {
    let mut map = |body: &Rc<Graph>| match memo.get(&Rc::as_ptr(body)) {
        Some(done) => done.clone(),
        None => {
            let new = Rc::new(pass(body, memo));
            memo.insert(Rc::as_ptr(body), new.clone());
            new
        }
    };
    match op {
        Op::Scan(scan) => Op::Scan(Scan { body: map(&scan.body), ..scan.clone() }),
        Op::Cond { then, otherwise } => Op::Cond { then: map(then), otherwise: map(otherwise) },
        Op::Call { body, rule } => {
            let body = map(body);
            Op::Call { body, rule: rule.map(&mut map) }
        }
        plain => plain.clone(),
    }
}

/// A Graph that is rebuilt equation by equation.
pub struct Rewrite {
    pub b: Builder,
    /// The new variable of each old one.
    map: Vec<Option<Var>>,
    /// The new equation that defines each new variable, if one does.
    defs: Vec<Option<usize>>,
    /// How many equations `defs` knows.
    scanned: usize,
}

impl Rewrite {
    /// Begins with the old Graph's parameters.
    pub fn new(old: &Graph) -> Rewrite {
        let mut rw = Rewrite { b: Builder::default(), map: vec![None; old.types.len()], defs: Vec::new(), scanned: 0 };
        for &param in &old.params {
            let new = rw.b.param(old.ty(param).clone());
            rw.set(param, new);
        }
        rw
    }

    pub fn set(&mut self, old: Var, new: Var) {
        self.map[old.0 as usize] = Some(new);
    }

    pub fn get(&self, old: Var) -> Var {
        self.map[old.0 as usize].expect("a Graph defines variables before their use")
    }

    pub fn all(&self, old: &[Var]) -> Vec<Var> {
        old.iter().map(|&v| self.get(v)).collect()
    }

    /// Appends an equation whose operands are known to fit.
    pub fn push(&mut self, op: Op, args: Vec<Var>, types: &[Type]) -> Vec<Var> {
        let outs: Vec<Var> = types.iter().map(|ty| self.b.graph.fresh(ty.clone())).collect();
        self.b.graph.eqns.push(Eqn { op, args, outs: outs.clone(), span: self.b.span });
        outs
    }

    /// The equation that defines a new variable.
    pub fn def(&mut self, var: Var) -> Option<&Eqn> {
        // Rules may emit equations behind our back: catch up.
        self.defs.resize(self.b.graph.types.len(), None);
        for (position, eqn) in self.b.graph.eqns.iter().enumerate().skip(self.scanned) {
            for out in &eqn.outs {
                self.defs[out.0 as usize] = Some(position);
            }
        }
        self.scanned = self.b.graph.eqns.len();
        self.defs[var.0 as usize].map(|position| &self.b.graph.eqns[position])
    }

    /// The value of a variable that is a constant.
    pub fn value(&mut self, var: Var) -> Option<Tensor> {
        match self.def(var) {
            Some(Eqn { op: Op::Const(value), .. }) => Some(value.clone()),
            Some(_) | None => None,
        }
    }

    /// The scalar that fills a variable, if it is known: of a short constant, or of one that is broadcast.
    pub fn uniform(&mut self, mut var: Var) -> Option<Tensor> {
        // Longer chains of views are left to the rules that shorten them.
        const LOOK_BACK: usize = 8;
        for _ in 0..LOOK_BACK {
            match self.def(var)? {
                Eqn { op: Op::Const(value), .. } => return uniform(value),
                Eqn { op: Op::Broadcast { .. } | Op::Reshape { .. }, args, .. } => var = args[0],
                _ => return None,
            }
        }
        None
    }

    /// A scalar constant, broadcast.
    pub fn filled(&mut self, scalar: Tensor, shape: &[usize]) -> Var {
        let scalar = self.b.constant(scalar);
        self.b.broadcast(scalar, shape, &[])
    }

    pub fn finish(self, old: &Graph) -> Graph {
        let results = self.all(&old.results);
        self.b.finish(results)
    }
}

/// The one value of all elements of a tensor that is not long.
fn uniform(value: &Tensor) -> Option<Tensor> {
    const LONG: usize = 64;
    if value.is_empty() || value.len() > LONG {
        return None;
    }
    let at = |i: isize| crate::prims::value::view(value, &[], &[], i);
    let first = at(0);
    let same = (1..value.len() as isize).all(|i| at(i).same_bits(&first));
    same.then_some(first)
}

/// Whether a scalar is the given number, with the sign of a zero.
pub fn is(value: &Option<Tensor>, number: f64) -> bool {
    match value {
        Some(value) if value.dtype().is_float() => value.item().to_bits() == number.to_bits(),
        Some(value) if value.dtype() != DType::Key => value.item() == number,
        Some(_) | None => false,
    }
}

/// What a rule makes of an equation whose operands are rewritten: new variables for its results, or nothing.
pub type Rule = fn(&mut Rewrite, &Eqn) -> Option<Vec<Var>>;

/// A pass over a Graph and its sub-Graphs.
type Pass = fn(&Graph, &mut Memo) -> Graph;

/// Applies a rule to each equation, in sub-Graphs too.
pub fn rewrite(graph: &Graph, memo: &mut Memo, pass: Pass, rule: Rule) -> Graph {
    walk(graph, memo, pass, rule, &mut |rw, op, args, types| rw.push(op, args, types))
}

/// The same; of the equations that no rule knows, those that do the same are made once.
pub fn rewrite_once(graph: &Graph, memo: &mut Memo, pass: Pass, rule: Rule) -> Graph {
    let mut seen = Seen::default();
    walk(graph, memo, pass, rule, &mut |rw, op, args, types| seen.push(rw, op, args, types))
}

/// Makes an equation that no rule knows.
type Put<'a> = &'a mut dyn FnMut(&mut Rewrite, Op, Vec<Var>, &[Type]) -> Vec<Var>;

fn walk(graph: &Graph, memo: &mut Memo, pass: Pass, rule: Rule, put: Put) -> Graph {
    let mut rw = Rewrite::new(graph);
    for eqn in &graph.eqns {
        rw.b.span = eqn.span;
        let op = map_bodies(&eqn.op, memo, pass);
        let eqn = Eqn { op, args: rw.all(&eqn.args), outs: eqn.outs.clone(), span: eqn.span };
        let outs = match rule(&mut rw, &eqn) {
            Some(outs) => outs,
            None => {
                let types: Vec<Type> = eqn.outs.iter().map(|&out| graph.ty(out).clone()).collect();
                put(&mut rw, eqn.op, eqn.args, &types)
            }
        };
        for (&old, new) in eqn.outs.iter().zip(outs) {
            debug_assert_eq!(graph.ty(old), rw.b.ty(new), "internal error: a rule changed a type");
            rw.set(old, new);
        }
    }
    rw.finish(graph)
}
