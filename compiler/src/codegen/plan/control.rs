//! Loops and branches.
//!
//! An array carry has one buffer for the whole loop: the carry's value at the start of a pass, the next one at the
//! end. The next value is computed straight into it where the old one is dead by then; else it is moved at the
//! end of the pass. Rows of stacks are views that move with the counter. A carry whose values are stacked has no buffer
//! of its own (`history`).

use super::body::Scope;
use super::history::Carried;
use super::{Base, CarryReg, Count, Home, Loop, Operand, Planner, Scalar, Step, as_view};
use crate::codegen::view::View;
use crate::ir::graph::{Eqn, Graph, Scan, Trips, Type};
use dp_runtime::abi::Kernel;
use dp_runtime::kernels::{is_standard, standard_strides};
use dp_runtime::tensor::DType;
use std::rc::Rc;

/// Stacks of at least this many bytes, of loops that may stop early, are not in the arena, but in zeroed memory of
/// which the system provides only what is touched.
const LARGE_STACK: usize = 1 << 20;

impl Planner {
    pub fn scan(&mut self, scope: &mut Scope, eqn: &Eqn, scan: &Scan, steps: &mut Vec<Step>) {
        let graph = scope.graph;
        let body = &scan.body;
        let number = self.origin(eqn, None);
        let fixed = scan.consts + scan.carries;
        let (carry_args, carry_outs) = (&eqn.args[scan.consts..fixed], &eqn.outs[..scan.carries]);
        let stacks_in = &eqn.args[fixed..fixed + scan.stacked_ins()];
        let stacks_out = &eqn.outs[scan.carries..scan.carries + scan.stacked_outs()];

        // Carries: a register, or a buffer that starts with the initial value.
        let counter = self.reg(DType::I64);
        let mut histories = self.histories(scope, eqn, scan, counter);
        let mut places: Vec<Option<Carried>> = Vec::new();
        let mut inits = Vec::new();
        for (i, (&arg, &out)) in carry_args.iter().zip(carry_outs).enumerate() {
            if graph.ty(arg).rank() == 0 {
                places.push(None);
                continue;
            }
            let ty = graph.ty(arg).clone();
            let from = as_view(scope.home(arg), ty.rank());
            let place = match histories.carries[i].take() {
                Some(place) => place,
                None => Carried::still(self.carry_place(scope, eqn, scan.consts + i, out, &from, &places)),
            };
            inits.push((Home::Array(from), place.first.clone(), ty));
            places.push(Some(place));
        }
        self.moves(inits, steps);
        self.time += 1;
        let mut stacks: Vec<View> = Vec::new();
        let mut tails = Vec::new();
        for (&out, known) in stacks_out.iter().zip(histories.stacks) {
            if let Some(place) = known {
                stacks.push(place);
                continue;
            }
            let ty = graph.ty(out).clone();
            let mut place = scope.place(self, out);
            if scan.trips != Trips::All {
                let size = ty.len() * ty.dtype.size();
                match place.base {
                    Base::Result(i) if self.depth == 0 => self.plan.zeroed[i as usize] = true,
                    Base::Buffer(_) if size >= LARGE_STACK => {
                        place = self.large(&ty);
                        // The loop will run again, in this run or the next: remember how many rows it wrote.
                        let mark = self.large(&Type::scalar(DType::I64));
                        tails.push((Some(mark), place.clone(), ty));
                    }
                    _ => tails.push((None, place.clone(), ty)),
                }
            }
            stacks.push(place);
        }
        for view in places.iter().flatten().map(|place| &place.first).chain(&stacks) {
            self.touch(view);
        }

        // The body.
        let mut homes: Vec<Home> = eqn.args[..scan.consts].iter().map(|&v| scope.home(v).clone()).collect();
        let mut own: Vec<Base> = Vec::new();
        let mut carry_params = Vec::new();
        for (&arg, place) in carry_args.iter().zip(&places) {
            match place {
                Some(place) => {
                    if place.is_still() {
                        own.push(place.old.base);
                    }
                    homes.push(Home::Array(place.old.clone()));
                    carry_params.push(None);
                }
                None => {
                    let param = self.reg(graph.ty(arg).dtype);
                    homes.push(Home::Scalar(Scalar::Reg(param)));
                    carry_params.push(Some(param));
                }
            }
        }
        homes.push(Home::Scalar(Scalar::Reg(counter)));
        let mut inner = Vec::new();
        let start = self.time;
        self.depth += 1;
        for &arg in stacks_in {
            let ty = graph.ty(arg);
            let row = as_view(scope.home(arg), ty.rank()).row(counter);
            if ty.rank() > 1 {
                homes.push(Home::Array(row));
            } else if let Some(scalar) = row.as_splat() {
                homes.push(Home::Scalar(scalar));
            } else {
                let out = self.reg(ty.dtype);
                self.push(&mut inner, Step::Load { from: row, out });
                homes.push(Home::Scalar(Scalar::Reg(out)));
            }
        }
        let nexts = places.iter().map(|place| place.as_ref().map(|place| place.next.clone()));
        let dests: Vec<Option<View>> =
            nexts.chain(stacks.iter().map(|stack| Some(stack.row(counter)))).chain([None]).collect();
        let apart: Vec<View> =
            places.iter().flatten().filter(|place| !place.is_still()).map(|place| place.next.clone()).collect();
        let constant: Vec<Base> = homes[..scan.consts].iter().filter_map(Home::base).collect();
        let results = self.body(body, homes, (&own, &apart), &dests[..body.results.len()], &mut inner);
        self.depth -= 1;
        let packed = if scan.cap > 1 { self.pack(&constant, counter, &mut inner, steps) } else { Vec::new() };

        // What the loop reads and writes lives until it ends.
        self.time += 1;
        for &arg in &eqn.args {
            let home = scope.home(arg).clone();
            self.touch_home(&home);
        }
        for view in places.iter().flatten().map(|place| &place.last).chain(&stacks) {
            self.touch(view);
        }
        for id in packed {
            let buffer = &mut self.plan.buffers[id as usize];
            (buffer.first, buffer.last) = (start, self.time);
        }

        let scalar = |home: &Home| match home {
            Home::Scalar(scalar) => *scalar,
            Home::Array(_) => unreachable!("a scalar was given an array's home"),
        };
        let mut carries = Vec::new();
        for (i, param) in carry_params.iter().enumerate() {
            let Some(param) = *param else {
                continue;
            };
            let out = self.reg(graph.ty(carry_outs[i]).dtype);
            carries.push(CarryReg { param, init: scope.scalar(carry_args[i]), next: scalar(&results[i]), out });
            scope.put(carry_outs[i], Home::Scalar(Scalar::Reg(out)));
        }
        let count = match scan.trips {
            Trips::All => Count::Fixed(scan.cap),
            Trips::Input => Count::Given { count: scope.scalar(eqn.args[eqn.args.len() - 1]), cap: scan.cap },
            Trips::Until => {
                let ran = self.reg(DType::I64);
                scope.put(eqn.outs[eqn.outs.len() - 1], Home::Scalar(Scalar::Reg(ran)));
                Count::Until { stop: scalar(&results[results.len() - 1]), cap: scan.cap, ran }
            }
        };
        for (&out, place) in carry_outs.iter().zip(places) {
            if let Some(place) = place {
                if place.is_still() {
                    scope.own(place.last.base);
                }
                scope.put(out, Home::Array(place.last));
            }
        }
        let step = Loop { count, reverse: scan.reverse, counter, carries, body: inner, eqn: number };
        self.push(steps, Step::Loop(Box::new(step)));
        for (mark, place, ty) in tails {
            let passes = match count {
                Count::Fixed(_) => continue,
                Count::Given { count, .. } => count,
                Count::Until { ran, .. } => Scalar::Reg(ran),
            };
            let mut operands = vec![
                (Operand::View(View::splat(passes, 0)), DType::I64, Vec::new()),
                (Operand::View(place), ty.dtype, ty.shape),
            ];
            operands.extend(mark.map(|mark| (Operand::View(mark), DType::I64, Vec::new())));
            self.call(Kernel::ZeroTail, operands, number, steps);
        }
        for (&out, place) in stacks_out.iter().zip(stacks) {
            scope.put(out, Home::Array(place));
        }
    }

    /// The buffer of a carry: where its last value is wanted, or where its initial value lies, if nothing else
    /// that is alive does; else a new one. `number` is the carry's place among the arguments.
    fn carry_place(
        &mut self,
        scope: &mut Scope,
        eqn: &Eqn,
        number: usize,
        out: crate::ir::graph::Var,
        from: &View,
        taken: &[Option<Carried>],
    ) -> View {
        let ty = scope.graph.ty(out).clone();
        let usable = |scope: &Scope, place: &View| {
            let others = eqn.args.iter().enumerate().any(|(i, &arg)| match scope.home(arg) {
                Home::Scalar(_) => false,
                Home::Array(view) => i != number && view.base == place.base,
            });
            let taken = taken.iter().flatten().any(|other| other.first.base == place.base);
            !others && !taken && scope.vacant(place.base, from.base == place.base)
        };
        for want in scope.wanted(out) {
            if usable(scope, &want) {
                scope.own(want.base);
                return want;
            }
        }
        let standard = from.strides == standard_strides(&ty.shape);
        if standard && is_standard(&ty.shape, &from.strides) && scope.owns(from.base) && usable(scope, from) {
            return from.clone();
        }
        let place = self.buffer(&ty);
        scope.own(place.base);
        place
    }

    pub fn cond(
        &mut self,
        scope: &mut Scope,
        eqn: &Eqn,
        then: &Rc<Graph>,
        otherwise: &Rc<Graph>,
        steps: &mut Vec<Step>,
    ) {
        let graph = scope.graph;
        let pred = scope.scalar(eqn.args[0]);
        let homes: Vec<Home> = eqn.args[1..].iter().map(|&v| scope.home(v).clone()).collect();
        let types: Vec<Type> = eqn.outs.iter().map(|&v| graph.ty(v).clone()).collect();
        let mut dests = Vec::new();
        for (&out, ty) in eqn.outs.iter().zip(&types) {
            if ty.rank() == 0 {
                dests.push(None);
                continue;
            }
            let place = scope.place(self, out);
            scope.put(out, Home::Array(place.clone()));
            dests.push(Some(place));
        }
        self.time += 1;
        dests.iter().flatten().for_each(|place| self.touch(place));
        let mut sides = Vec::new();
        for side in [then, otherwise] {
            let mut inner = Vec::new();
            let results = self.body(side, homes.clone(), (&[], &[]), &dests, &mut inner);
            sides.push((inner, results));
        }
        self.time += 1;
        dests.iter().flatten().for_each(|place| self.touch(place));
        homes.iter().for_each(|home| self.touch_home(home));
        let (otherwise, no) = sides.remove(1);
        let (then, yes) = sides.remove(0);
        let mut outs = Vec::new();
        for (i, (&out, ty)) in eqn.outs.iter().zip(&types).enumerate() {
            if let (Home::Scalar(yes), Home::Scalar(no), 0) = (&yes[i], &no[i], ty.rank()) {
                let reg = self.reg(ty.dtype);
                outs.push((reg, *yes, *no));
                scope.put(out, Home::Scalar(Scalar::Reg(reg)));
            }
        }
        self.push(steps, Step::Branch { pred, then, otherwise, outs });
    }
}
