//! Carries whose values a loop stacks: they lie in the stack from the start.
//!
//! A loop of n passes that carries x has n + 1 values of x. The stack of the values before each pass is all but the last
//! of them, and the stack of those after each pass all but the first: rows of one array. (In a reverse loop the first
//! value has the last row.) A pass reads its value in one row and writes the next one into the row beside it, and nothing
//! is copied.

use super::Planner;
use super::Reg;
use super::body::Scope;
use crate::codegen::view::View;
use crate::ir::graph::{Eqn, Scan, Trips, Type};

/// Where an array carry lies.
#[derive(Clone, Debug)]
pub struct Carried {
    /// Before the loop.
    pub first: View,
    /// At the start of a pass.
    pub old: View,
    /// At the end of a pass.
    pub next: View,
    /// After the loop.
    pub last: View,
}

impl Carried {
    /// Always in the same place.
    pub fn still(place: View) -> Carried {
        Carried { first: place.clone(), old: place.clone(), next: place.clone(), last: place }
    }

    pub fn is_still(&self) -> bool {
        self.old == self.next
    }
}

/// The carries that lie in stacks, and these stacks.
pub struct Histories {
    pub carries: Vec<Option<Carried>>,
    pub stacks: Vec<Option<View>>,
}

impl Planner {
    /// Finds the stacks of carries' values, and gives them places. Not where a loop may stop early: its stacks end in
    /// zeros. Not where a stack has a place to go to.
    pub fn histories(&mut self, scope: &Scope, eqn: &Eqn, scan: &Scan, counter: Reg) -> Histories {
        let (body, graph) = (&scan.body, scope.graph);
        let stacked = &eqn.outs[scan.carries..scan.carries + scan.stacked_outs()];
        let mut found = Histories { carries: vec![None; scan.carries], stacks: vec![None; stacked.len()] };
        if scan.trips != Trips::All || scan.cap < 2 {
            return found;
        }
        for carry in 0..scan.carries {
            let (old, next) = (body.params[scan.consts + carry], body.results[carry]);
            let ty = body.ty(old);
            if ty.rank() == 0 || ty.is_empty() || old == next {
                continue;
            }
            let stack_of = |var| {
                (0..stacked.len()).find(|&i| {
                    let free = found.stacks[i].is_none() && scope.wanted(stacked[i]).is_empty();
                    body.results[scan.carries + i] == var && free && graph.ty(stacked[i]).dtype == ty.dtype
                })
            };
            let (before, after) = (stack_of(old), stack_of(next));
            if before.is_none() && after.is_none() {
                continue;
            }
            let shape = [&[scan.cap + 1], ty.shape.as_slice()].concat();
            let rows = self.buffer(&Type::new(ty.dtype, &shape));
            let from = |row: usize| View { offset: row as isize * rows.strides[0], ..rows.clone() };
            let row = |row: usize| {
                let mut view = from(row);
                view.strides.remove(0);
                view
            };
            let (low, high) = (from(0), from(1));
            let (first, last, olds, nexts) =
                if scan.reverse { (row(scan.cap), row(0), high, low) } else { (row(0), row(scan.cap), low, high) };
            found.carries[carry] = Some(Carried { first, old: olds.row(counter), next: nexts.row(counter), last });
            if let Some(i) = before {
                found.stacks[i] = Some(olds);
            }
            if let Some(i) = after {
                found.stacks[i] = Some(nexts);
            }
        }
        found
    }
}
