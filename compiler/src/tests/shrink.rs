//! Makes a failing program small.

use crate::ir::builder::Builder;
use crate::ir::eval::eval;
use crate::ir::graph::{CallRule, Eqn, Graph, Op, Var};
use crate::opt::dce::dce;
use dp_runtime::tensor::Tensor;
use std::rc::Rc;

/// A Graph and its arguments.
pub type Program = (Graph, Vec<Tensor>);

/// A program that still fails and that none of the steps makes smaller: results are dropped one by one, equations are
/// replaced by parameters with their values (in sub-Graphs by zeros), calls and branches by their bodies.
pub fn shrink(program: Program, fails: &dyn Fn(&Program) -> bool) -> Program {
    let mut now = program;
    // Each round makes the Graph smaller; the bound is for a `fails` that is not a function of the program.
    for _ in 0..1000 {
        let Some(smaller) = candidates(&now).find(|candidate| fails(candidate)) else { return now };
        now = smaller;
    }
    now
}

fn candidates(program: &Program) -> impl Iterator<Item = Program> {
    let (graph, args) = program;
    let few =
        (graph.results.len() > 1).then(|| graph.results.iter().map(|&result| with_results(program, vec![result])));
    let cut = (0..graph.eqns.len()).rev().filter_map(|i| cut(program, i));
    let opened =
        (0..graph.eqns.len()).rev().flat_map(move |i| opened(graph, i)).map(|graph| tidied((graph, args.clone())));
    let inside = (0..graph.eqns.len()).rev().flat_map(move |i| {
        smaller_bodies(&graph.eqns[i].op).into_iter().map(move |op| {
            let mut graph = graph.clone();
            graph.eqns[i].op = op;
            tidied((graph, args.clone()))
        })
    });
    few.into_iter().flatten().chain(cut).chain(opened).chain(inside)
}

/// The program without equations and parameters that nothing needs.
fn tidied((graph, args): Program) -> Program {
    let mut graph = dce(&graph);
    let used: Vec<bool> = graph
        .params
        .iter()
        .map(|param| graph.results.contains(param) || graph.eqns.iter().any(|eqn| eqn.args.contains(param)))
        .collect();
    let mut flags = used.iter();
    graph.params.retain(|_| *flags.next().expect("one flag for each parameter"));
    let args = args.into_iter().zip(used).filter(|(_, used)| *used).map(|(arg, _)| arg).collect();
    (graph, args)
}

fn with_results((graph, args): &Program, results: Vec<Var>) -> Program {
    tidied((Graph { results, ..graph.clone() }, args.clone()))
}

/// Equation `i` replaced by parameters that have its values.
fn cut((graph, args): &Program, i: usize) -> Option<Program> {
    let mut until = graph.clone();
    until.eqns.truncate(i + 1);
    until.results = graph.eqns[i].outs.clone();
    let values = eval(&until, args).ok()?;
    let mut rest = graph.clone();
    let eqn = rest.eqns.remove(i);
    rest.params.extend(eqn.outs);
    let args = args.iter().cloned().chain(values).collect();
    let smaller = tidied((rest, args));
    // Cutting a constant would only turn it into a parameter and back.
    (!matches!(eqn.op, Op::Const(_)) && smaller.0.eqns.len() < graph.eqns.len()).then_some(smaller)
}

/// A call replaced by its body, a branch by each of its sides.
fn opened(graph: &Graph, i: usize) -> Vec<Graph> {
    match &graph.eqns[i].op {
        Op::Call { body, .. } => vec![replaced(graph, i, body, 0)],
        Op::Cond { then, otherwise } => vec![replaced(graph, i, then, 1), replaced(graph, i, otherwise, 1)],
        _ => Vec::new(),
    }
}

/// Equation `i` replaced by a Graph, applied to the operands after the first `skip`.
fn replaced(graph: &Graph, i: usize, body: &Graph, skip: usize) -> Graph {
    let mut b = Builder { graph: Graph { eqns: graph.eqns[..i].to_vec(), ..graph.clone() }, ..Builder::default() };
    let inner = b.inline(body, &graph.eqns[i].args[skip..]);
    let mut opened = b.graph;
    let outs = &graph.eqns[i].outs;
    let renamed = |v: &Var| outs.iter().position(|out| out == v).map_or(*v, |k| inner[k]);
    for eqn in &graph.eqns[i + 1..] {
        opened.eqns.push(Eqn { args: eqn.args.iter().map(renamed).collect(), ..eqn.clone() });
    }
    opened.results = graph.results.iter().map(renamed).collect();
    opened
}

/// The operation with one equation of one of its bodies replaced: by zeros, or by its own body.
fn smaller_bodies(op: &Op) -> Vec<Op> {
    let with = |body: &Rc<Graph>, rebuilt: &dyn Fn(Rc<Graph>) -> Op| -> Vec<Op> {
        smaller(body).into_iter().map(|graph| rebuilt(Rc::new(graph))).collect()
    };
    match op {
        Op::Scan(scan) => with(&scan.body, &|body| {
            let mut scan = scan.clone();
            scan.body = body;
            Op::Scan(scan)
        }),
        Op::Cond { then, otherwise } => {
            let mut all = with(then, &|then| Op::Cond { then, otherwise: otherwise.clone() });
            all.extend(with(otherwise, &|otherwise| Op::Cond { then: then.clone(), otherwise }));
            all
        }
        Op::Call { body, rule: rule @ (CallRule::Inline | CallRule::Recompute) } => {
            with(body, &|body| Op::Call { body, rule: rule.clone() })
        }
        _ => Vec::new(),
    }
}

/// The Graph with one equation replaced, for each equation that is not a constant.
fn smaller(graph: &Graph) -> Vec<Graph> {
    let mut all = Vec::new();
    for (i, eqn) in graph.eqns.iter().enumerate() {
        for op in smaller_bodies(&eqn.op) {
            let mut smaller = graph.clone();
            smaller.eqns[i].op = op;
            all.push(dce(&smaller));
        }
        all.extend(opened(graph, i).iter().map(dce));
        if matches!(eqn.op, Op::Const(_)) {
            continue;
        }
        let mut smaller = graph.clone();
        let zero = |&out: &Var| {
            let ty = graph.ty(out);
            let value = Tensor::full(ty.dtype, &ty.shape, 0.0);
            Eqn { op: Op::Const(value), args: vec![], outs: vec![out], span: eqn.span }
        };
        smaller.eqns.splice(i..=i, eqn.outs.iter().map(zero));
        all.push(dce(&smaller));
    }
    all
}
