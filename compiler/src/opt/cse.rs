//! Common subexpressions: of equations with the same operation and the same operands, the first is enough.

use super::rewrite::{Memo, Rewrite, rewrite_once};
use crate::ir::graph::{Graph, Op, Type, Var};
use crate::ir::text::attributes::{Attribute, attributes};
use crate::prims;
use dp_runtime::tensor::Tensor;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;

/// Removes repeated equations. Operands of commutative operations may come in either order.
pub fn cse(graph: &Graph) -> Graph {
    pass(graph, &mut Memo::new())
}

fn pass(graph: &Graph, memo: &mut Memo) -> Graph {
    rewrite_once(graph, memo, pass, |_, _| None)
}

/// The equations of a Graph that is being rebuilt, by what they do.
#[derive(Default)]
pub struct Seen {
    places: HashMap<u64, Vec<usize>>,
}

impl Seen {
    /// The results of the equation that does the same on the same operands, or of a new one.
    pub fn push(&mut self, rw: &mut Rewrite, op: Op, args: Vec<Var>, types: &[Type]) -> Vec<Var> {
        let mut key = args.clone();
        if commutes(&op) {
            key.sort_unstable();
        }
        let list = self.places.entry(hash(&op, &key)).or_default();
        let earlier = list.iter().map(|&place| &rw.b.graph.eqns[place]).find(|earlier| {
            let same = if commutes(&op) { is_turned(&earlier.args, &key) } else { earlier.args == key };
            same && same_op(&earlier.op, &op)
        });
        if let Some(earlier) = earlier {
            return earlier.outs.clone();
        }
        list.push(rw.b.graph.eqns.len());
        rw.push(op, args, types)
    }
}

/// Whether two operands are the sorted ones, in either order.
fn is_turned(args: &[Var], sorted: &[Var]) -> bool {
    match (args, sorted) {
        (&[a, b], &[c, d]) => (a, b) == (c, d) || (b, a) == (c, d),
        _ => args == sorted,
    }
}

fn commutes(op: &Op) -> bool {
    matches!(op, Op::Add | Op::Mul | Op::MulZ | Op::Max | Op::Min | Op::Eq | Op::Ne | Op::And | Op::Or)
}

fn hash(op: &Op, args: &[Var]) -> u64 {
    let mut hasher = DefaultHasher::new();
    prims::name(op).hash(&mut hasher);
    args.hash(&mut hasher);
    for (_, attribute) in attributes(op) {
        match attribute {
            Attribute::Word(word) => word.hash(&mut hasher),
            Attribute::Number(number) => number.hash(&mut hasher),
            Attribute::List(list) => list.hash(&mut hasher),
            Attribute::Text(text) => text.hash(&mut hasher),
            Attribute::Value(value) => hash_value(&value, &mut hasher),
        }
    }
    for body in op.subgraphs() {
        (body.types.len(), body.eqns.len()).hash(&mut hasher);
    }
    hasher.finish()
}

fn hash_value(value: &Tensor, hasher: &mut DefaultHasher) {
    // The first elements tell most constants apart.
    const FIRST: usize = 64;
    value.shape().hash(hasher);
    match value {
        Tensor::F32(_) => value.as_slice::<f32>().iter().take(FIRST).for_each(|v| v.to_bits().hash(hasher)),
        Tensor::F64(_) => value.as_slice::<f64>().iter().take(FIRST).for_each(|v| v.to_bits().hash(hasher)),
        Tensor::I64(_) => value.as_slice::<i64>().iter().take(FIRST).for_each(|v| v.hash(hasher)),
        Tensor::Bool(_) => value.as_slice::<bool>().iter().take(FIRST).for_each(|v| v.hash(hasher)),
        Tensor::Key(_) => value.as_slice::<u64>().iter().take(FIRST).for_each(|v| v.hash(hasher)),
    }
}

/// Whether two operations do the same, as far as can be seen: sub-Graphs count as equal if their equations are,
/// one by one.
pub fn same_op(a: &Op, b: &Op) -> bool {
    let (ours, theirs) = (attributes(a), attributes(b));
    let (bodies, other_bodies) = (a.subgraphs(), b.subgraphs());
    prims::name(a) == prims::name(b)
        && ours.len() == theirs.len()
        && ours.iter().zip(&theirs).all(|((_, a), (_, b))| same_attribute(a, b))
        && bodies.len() == other_bodies.len()
        && bodies.iter().zip(other_bodies).all(|(a, b)| Rc::ptr_eq(a, b) || same_graph(a, b))
}

fn same_attribute(a: &Attribute, b: &Attribute) -> bool {
    match (a, b) {
        (Attribute::Word(a), Attribute::Word(b)) | (Attribute::Text(a), Attribute::Text(b)) => a == b,
        (Attribute::Number(a), Attribute::Number(b)) => a == b,
        (Attribute::List(a), Attribute::List(b)) => a == b,
        (Attribute::Value(a), Attribute::Value(b)) => a.same_bits(b),
        _ => false,
    }
}

fn same_graph(a: &Graph, b: &Graph) -> bool {
    a.params == b.params
        && a.results == b.results
        && a.eqns.len() == b.eqns.len()
        && a.types == b.types
        && a.eqns.iter().zip(&b.eqns).all(|(a, b)| a.args == b.args && a.outs == b.outs && same_op(&a.op, &b.op))
}
