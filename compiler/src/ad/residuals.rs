//! Which values of a loop body a later loop reads from memory, and which it computes again.
//!
//! The later loop has the loop's constants and stacked inputs for nothing; it can repeat cheap equations;
//! everything else has to be stacked, at the cost of its bytes in each pass. The cheapest sufficient set of
//! stacks is a minimum vertex cut between what is at hand and the residuals.

use super::flow;
use super::rules;
use crate::ir::graph::{Graph, Var};
use std::collections::{HashMap, HashSet};

/// What a later loop does to have the residuals. Variables and equation numbers are those of the body.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Stacked by the first loop.
    pub stored: Vec<Var>,
    /// Read as constants: the same in every pass.
    pub invariant: Vec<Var>,
    /// Stacked inputs read again.
    pub inputs: Vec<Var>,
    /// Equations computed before the loop, for invariants that are not constants of it.
    pub before: Vec<usize>,
    /// Equations computed again in each pass.
    pub again: Vec<usize>,
}

/// How a body variable can be had.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    /// A constant of the loop, or computed from constants only.
    Invariant,
    Input,
    Counter,
    /// A carry, or the result of an equation.
    Value,
}

/// Chooses the cheapest sufficient values for the given residuals.
pub fn choose(body: &Graph, consts: usize, carries: usize, residuals: &[Var]) -> Plan {
    let invariant = flow::invariant_vars(body, consts);
    let defs: HashMap<Var, usize> =
        body.eqns.iter().enumerate().flat_map(|(i, eqn)| eqn.outs.iter().map(move |&o| (o, i))).collect();
    let counter = consts + carries;
    let inputs: HashSet<Var> = body.params[counter + 1..].iter().copied().collect();
    let source = |v: Var| {
        if invariant[v.0 as usize] {
            Source::Invariant
        } else if v == body.params[counter] {
            Source::Counter
        } else if inputs.contains(&v) {
            Source::Input
        } else {
            Source::Value
        }
    };
    let repeatable = |v: Var| defs.get(&v).copied().filter(|&i| rules::is_cheap(&body.eqns[i].op));
    let filler = |v: Var| defs.get(&v).copied().filter(|&i| rules::is_filler(&body.eqns[i].op));

    let cut = minimum_cut(body, residuals, &|v| match source(v) {
        Source::Invariant | Source::Input | Source::Counter => (0, Vec::new(), true),
        Source::Value => {
            let ty = body.ty(v);
            let cost = (ty.len() * ty.dtype.size()) as u64 + 1;
            match repeatable(v) {
                Some(i) => (cost, body.eqns[i].args.clone(), false),
                None => (cost, Vec::new(), true),
            }
        }
    });

    // Walk back from the residuals to what the cut provides.
    let mut plan = Plan::default();
    let mut done: HashSet<Var> = HashSet::new();
    let mut again: HashSet<usize> = HashSet::new();
    let mut stack: Vec<Var> = residuals.to_vec();
    stack.reverse();
    while let Some(v) = stack.pop() {
        if !done.insert(v) {
            continue;
        }
        match source(v) {
            Source::Counter => {}
            Source::Input => plan.inputs.push(v),
            Source::Invariant => match filler(v) {
                Some(i) => {
                    again.insert(i);
                    stack.extend(&body.eqns[i].args);
                }
                None => plan.invariant.push(v),
            },
            Source::Value if cut.contains(&v) => plan.stored.push(v),
            Source::Value => {
                let i = repeatable(v).expect("internal error: the cut misses a value that has to be stored");
                again.insert(i);
                stack.extend(&body.eqns[i].args);
            }
        }
    }
    plan.again = again.into_iter().collect();
    plan.again.sort_unstable();
    // What the invariants need before the loop.
    let mut before: HashSet<usize> = HashSet::new();
    let mut stack = plan.invariant.clone();
    while let Some(v) = stack.pop() {
        if let Some(&i) = defs.get(&v)
            && before.insert(i)
        {
            stack.extend(&body.eqns[i].args);
        }
    }
    plan.before = before.into_iter().collect();
    plan.before.sort_unstable();
    plan
}

const INFINITE: u64 = u64::MAX / 4;

/// A flow network as edge lists: edge e and e^1 are each other's reverse.
#[derive(Default)]
struct Network {
    heads: Vec<usize>,
    capacity: Vec<u64>,
    edges: Vec<Vec<usize>>,
}

impl Network {
    fn node(&mut self) -> usize {
        self.edges.push(Vec::new());
        self.edges.len() - 1
    }

    fn edge(&mut self, from: usize, to: usize, capacity: u64) {
        self.edges[from].push(self.heads.len());
        self.heads.push(to);
        self.capacity.push(capacity);
        self.edges[to].push(self.heads.len());
        self.heads.push(from);
        self.capacity.push(0);
    }

    /// The edge by which each node is first reached from `start` (by remaining capacity), breadth first.
    fn reach(&self, start: usize) -> Vec<Option<usize>> {
        let mut by: Vec<Option<usize>> = vec![None; self.edges.len()];
        let mut queue = std::collections::VecDeque::from([start]);
        while let Some(node) = queue.pop_front() {
            for &e in &self.edges[node] {
                let to = self.heads[e];
                if self.capacity[e] > 0 && to != start && by[to].is_none() {
                    by[to] = Some(e);
                    queue.push_back(to);
                }
            }
        }
        by
    }
}

/// The variables of a minimum vertex cut between sources and residuals, the cut nearest to the residuals.
///
/// `describe` gives the cost of storing a variable, what it can be computed from, and whether it is a source.
/// Variables of cost 0 are at hand and never need to be cut. (Ford and Fulkerson 1956; shortest paths first.)
fn minimum_cut(body: &Graph, residuals: &[Var], describe: &dyn Fn(Var) -> (u64, Vec<Var>, bool)) -> HashSet<Var> {
    let mut network = Network::default();
    let source = network.node();
    let sink = network.node();
    let mut nodes: HashMap<Var, (usize, usize, u64)> = HashMap::new();
    let mut todo: Vec<Var> = residuals.to_vec();
    let mut links: Vec<(Var, Var)> = Vec::new();
    while let Some(v) = todo.pop() {
        if nodes.contains_key(&v) {
            continue;
        }
        let (cost, args, is_source) = describe(v);
        let (enter, leave) = (network.node(), network.node());
        nodes.insert(v, (enter, leave, cost));
        if cost == 0 {
            continue;
        }
        network.edge(enter, leave, cost);
        if is_source {
            network.edge(source, enter, INFINITE);
        }
        for arg in args {
            links.push((arg, v));
            todo.push(arg);
        }
    }
    for (arg, v) in links {
        network.edge(nodes[&arg].1, nodes[&v].0, INFINITE);
    }
    let wanted: HashSet<Var> = residuals.iter().copied().collect();
    for v in &wanted {
        network.edge(nodes[v].1, sink, INFINITE);
    }
    debug_assert!(body.types.len() * 2 + 2 >= network.edges.len());
    loop {
        let by = network.reach(source);
        if by[sink].is_none() {
            break;
        }
        let mut path = Vec::new();
        let mut node = sink;
        while let Some(e) = by[node] {
            path.push(e);
            node = network.heads[e ^ 1];
        }
        let amount = path.iter().map(|&e| network.capacity[e]).min().unwrap_or(0);
        for e in path {
            network.capacity[e] -= amount;
            network.capacity[e ^ 1] += amount;
        }
    }
    // Nodes that can still reach the sink: walk the edges backwards.
    let mut reaches = vec![false; network.edges.len()];
    reaches[sink] = true;
    let mut stack = vec![sink];
    while let Some(node) = stack.pop() {
        for &e in &network.edges[node] {
            let from = network.heads[e];
            if network.capacity[e ^ 1] > 0 && !reaches[from] {
                reaches[from] = true;
                stack.push(from);
            }
        }
    }
    let is_cut = |&(enter, leave, cost): &(usize, usize, u64)| cost > 0 && !reaches[enter] && reaches[leave];
    nodes.iter().filter(|(_, node)| is_cut(node)).map(|(&v, _)| v).collect()
}
