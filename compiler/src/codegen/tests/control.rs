//! Loops, branches, aliasing, limits.

use super::agree;
use crate::codegen::{CodegenError, Options, compile, compile_with};
use crate::ir::builder::Builder;
use crate::ir::eval::Event;
use crate::ir::graph::{Graph, Guard, Op, Scan, Trips, Type, Var};
use crate::prims::sample::Rng;
use crate::source::{FileId, Span};
use dp_runtime::fault::FaultKind;
use dp_runtime::tensor::{DType, Tensor};
use std::rc::Rc;
use std::time::Instant;

pub fn f64s(shape: &[usize]) -> Type {
    Type::new(DType::F64, shape)
}

pub fn int() -> Type {
    Type::scalar(DType::I64)
}

/// A loop around a body built by `build` from its parameters, given with their types.
pub fn scan_of(
    params: &[Type],
    consts: usize,
    carries: usize,
    cap: usize,
    build: impl Fn(&mut Builder, &[Var]) -> Vec<Var>,
) -> Scan {
    let mut b = Builder::default();
    let vars: Vec<Var> = params.iter().map(|ty| b.param(ty.clone())).collect();
    let results = build(&mut b, &vars);
    Scan { body: Rc::new(b.finish(results)), consts, carries, cap, trips: Trips::All, reverse: false }
}

pub fn program(inputs: &[Tensor], build: impl Fn(&mut Builder, &[Var]) -> Vec<Var>) -> Graph {
    let mut b = Builder::default();
    let vars: Vec<Var> = inputs.iter().map(|t| b.param(Type::of(t))).collect();
    let results = build(&mut b, &vars);
    b.finish(results)
}

#[test]
fn products_of_scalars_that_a_zero_annihilates() {
    let numbers = [0.0, -0.0, 2.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN];
    for dtype in [DType::F32, DType::F64] {
        for x in numbers {
            for y in numbers {
                let inputs = [Tensor::full(dtype, &[], x), Tensor::full(dtype, &[], y)];
                // Alone, and in a body long enough that its carries begin twice.
                let graph = program(&inputs, |b, v| {
                    let ty = Type::scalar(dtype);
                    let scan = scan_of(&[ty.clone(), ty, int()], 1, 1, 3, |b, v| {
                        let mut value = b.op(Op::MulZ, &[v[1], v[0]]);
                        for _ in 0..30 {
                            let next = b.op(Op::MulZ, &[value, v[1]]);
                            value = b.add(next, v[0]);
                        }
                        vec![value]
                    });
                    let alone = b.op(Op::MulZ, &[v[0], v[1]]);
                    let last = b.emit(Op::Scan(scan), &[v[0], v[1]])[0];
                    vec![alone, last]
                });
                agree(&graph, &inputs, &format!("{x} and {y}, {}", dtype.name()));
            }
        }
    }
}

#[test]
fn carries_that_exchange_places() {
    let mut rng = Rng::new(1);
    let inputs = [rng.tensor(DType::F64, &[5]), rng.tensor(DType::F64, &[5]), rng.tensor(DType::F64, &[5])];
    // (a, b, c) -> (b, c, a + b), then all kinds of rotations, with and without stacks.
    for (kind, reverse) in [(0, false), (1, true), (2, false), (3, false)] {
        let ty = f64s(&[5]);
        let mut scan = scan_of(&[ty.clone(), ty.clone(), ty.clone(), int()], 0, 3, 4, |b, v| match kind {
            0 => {
                let sum = b.add(v[0], v[1]);
                vec![v[1], v[2], sum]
            }
            1 => vec![v[1], v[2], v[0], v[1]],
            2 => {
                let turned = b.op(Op::Reverse { axes: vec![0] }, &[v[0]]);
                vec![turned, v[0], v[0], turned]
            }
            _ => {
                let sum = b.add(v[0], v[1]);
                let product = b.mul(sum, v[2]);
                vec![product, sum, sum, product, sum]
            }
        });
        scan.reverse = reverse;
        let graph = program(&inputs, |b, v| {
            let outs = b.emit(Op::Scan(scan.clone()), v);
            // The initial values are needed after the loop, too.
            let kept = b.add(v[0], outs[0]);
            [outs, vec![kept, v[1]]].concat()
        });
        agree(&graph, &inputs, &format!("kind {kind}"));
        // The same initial value for every carry, computed here and so free to be taken over.
        let graph = program(&inputs, |b, v| {
            let x = b.mul(v[0], v[1]);
            b.emit(Op::Scan(scan.clone()), &[x, x, x])
        });
        agree(&graph, &inputs, &format!("kind {kind}, one initial value"));
    }
}

#[test]
fn scalars_that_exchange_places_in_long_bodies() {
    let mut rng = Rng::new(6);
    for (trips, reverse, dtype) in [
        (Trips::All, false, DType::F64),
        (Trips::All, true, DType::F32),
        (Trips::Until, false, DType::F64),
        (Trips::Input, true, DType::F32),
        (Trips::Input, false, DType::F64),
    ] {
        let ty = Type::scalar(dtype);
        // A loop among the first steps, of a carry of the outer one.
        let inner = scan_of(&[ty.clone(), ty.clone(), int()], 1, 1, 3, |b, v| vec![b.mul(v[0], v[1])]);
        // Three scalars and a count; the counter; a slice.
        let params = [ty.clone(), ty.clone(), ty.clone(), int(), int(), ty.clone()];
        let mut scan = scan_of(&params, 0, 4, 7, |b, v| {
            let powers = b.emit(Op::Scan(inner.clone()), &[v[1], v[2]])[0];
            let mut value = v[0];
            for k in 0..30 {
                value = if k % 3 == 0 { b.sub(value, v[k % 2]) } else { b.mul(value, v[5]) };
            }
            let count = b.add(v[3], v[4]);
            // The first becomes the second at once, the last is read at the end.
            let last = b.add(value, v[2]);
            let mut out = vec![v[1], v[0], last, count, powers, v[2]];
            if trips == Trips::Until {
                let size = b.op(Op::Abs, &[last]);
                let limit = b.scalar(dtype, 2.0);
                out.push(b.op(Op::Lt, &[limit, size]));
            }
            out
        });
        scan.trips = trips;
        scan.reverse = reverse;
        let mut inputs = vec![rng.tensor(dtype, &[]), rng.tensor(dtype, &[]), rng.tensor(dtype, &[])];
        inputs.extend([Tensor::scalar(3i64), rng.tensor(dtype, &[7])]);
        if trips == Trips::Input {
            inputs.push(Tensor::scalar(5i64));
        }
        let graph = program(&inputs, |b, v| b.emit(Op::Scan(scan.clone()), v));
        agree(&graph, &inputs, &format!("{trips:?}, {reverse}"));
    }
}

#[test]
fn a_loop_in_a_loop_writes_rows_of_rows() {
    let mut rng = Rng::new(2);
    let inputs = [rng.tensor(DType::F64, &[3]), rng.tensor(DType::F64, &[4, 2, 3])];
    for (trips, outer_reverse) in [(Trips::All, false), (Trips::Until, true), (Trips::Input, false)] {
        let row = f64s(&[3]);
        let mut inner = scan_of(&[row.clone(), int(), row.clone()], 0, 1, 2, |b, v| {
            let next = b.add(v[0], v[2]);
            let mut out = vec![next, next];
            if trips == Trips::Until {
                let total = b.sum(next, &[0]);
                let limit = b.scalar(DType::F64, 1.0);
                out.push(b.op(Op::Lt, &[limit, total]));
            }
            out
        });
        inner.trips = trips;
        let mut outer = scan_of(&[row.clone(), int(), f64s(&[2, 3])], 0, 1, 4, |b, v| {
            let mut args = vec![v[0], v[2]];
            if trips == Trips::Input {
                let two = b.scalar(DType::I64, 2.0);
                args.push(b.op(Op::Mod, &[v[1], two]));
            }
            let outs = b.emit(Op::Scan(inner.clone()), &args);
            vec![outs[0], outs[1]]
        });
        outer.reverse = outer_reverse;
        let graph = program(&inputs, |b, v| b.emit(Op::Scan(outer.clone()), v));
        agree(&graph, &inputs, &format!("{trips:?}"));
    }
}

#[test]
fn updates_of_a_carry_work_in_place() {
    // n updates of an array of n elements: linear time, so doubling n does not quadruple it.
    let graph = |n: usize| {
        let ty = f64s(&[n]);
        let scan = scan_of(&[ty.clone(), int(), Type::scalar(DType::F64)], 0, 1, n, |b, v| {
            let old = b.op(Op::Gather, &[v[0], v[1]]);
            let new = b.add(old, v[2]);
            let once = b.op(Op::Update, &[v[0], new, v[1]]);
            vec![b.op(Op::ScatterAdd, &[once, new, v[1]])]
        });
        let mut b = Builder::default();
        let x = b.param(ty.clone());
        let u = b.param(ty);
        let outs = b.emit(Op::Scan(scan), &[x, u]);
        b.finish(outs)
    };
    let inputs = |n: usize| {
        let mut rng = Rng::new(n as u64);
        [rng.tensor(DType::F64, &[n]), rng.tensor(DType::F64, &[n])]
    };
    agree(&graph(50), &inputs(50), "50");
    let seconds = |n: usize| {
        let (executable, inputs) = (compile(&graph(n)).expect("compiles"), inputs(n));
        let best = (0..5).map(|_| {
            let start = Instant::now();
            executable.run(&inputs).expect("runs");
            start.elapsed().as_secs_f64()
        });
        best.fold(f64::INFINITY, f64::min)
    };
    // A copy of 2^17 elements each pass would take more than ten seconds.
    assert!(seconds(1 << 17) < 1.0);
}

#[test]
fn an_update_never_shows_in_a_value_that_is_still_needed() {
    let mut rng = Rng::new(4);
    let inputs = [rng.tensor(DType::F64, &[6]), Tensor::scalar(2i64), Tensor::scalar(9.0)];
    let graph = program(&inputs, |b, v| {
        let own = b.add(v[0], v[0]);
        let first = b.op(Op::Update, &[own, v[2], v[1]]);
        let turned = b.op(Op::Reverse { axes: vec![0] }, &[own]);
        let second = b.op(Op::ScatterAdd, &[turned, v[2], v[1]]);
        let third = b.op(Op::Update, &[v[0], v[2], v[1]]);
        let spread = b.broadcast(v[2], &[6], &[]);
        let fourth = b.op(Op::Update, &[spread, v[2], v[1]]);
        vec![first, second, third, fourth, own]
    });
    agree(&graph, &inputs, "update");
    let bad = [inputs[0].clone(), Tensor::scalar(6i64), inputs[2].clone()];
    agree(&graph, &bad, "out of range");
}

#[test]
fn elementwise_chains_over_views_and_aliases() {
    let mut rng = Rng::new(5);
    for n in [1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 33, 70] {
        for dtype in [DType::F32, DType::F64, DType::I64] {
            let inputs = [rng.tensor(dtype, &[n, n]), rng.tensor(dtype, &[n]), rng.tensor(DType::Bool, &[n, n])];
            let graph = program(&inputs, |b, v| {
                let turned = b.transpose_last(v[0]);
                let row = b.broadcast(v[1], &[n, n], &[1]);
                let column = b.broadcast(v[1], &[n, n], &[0]);
                let sum = b.add(turned, row);
                let product = b.mul(sum, column);
                let back = b.op(Op::Reverse { axes: vec![0, 1] }, &[product]);
                let mask = b.op(Op::Lt, &[back, product]);
                let both = b.op(Op::And, &[mask, v[2]]);
                let other = b.op(Op::Not, &[both]);
                let flipped = b.transpose_last(other);
                let either = b.op(Op::Or, &[flipped, both]);
                let chosen = b.select(either, product, v[0]);
                let strided = b.op(Op::Slice { start: vec![0, 0], stop: vec![n, n], stride: vec![2, 1] }, &[chosen]);
                let most = b.op(Op::Max, &[strided, strided]);
                vec![chosen, either, back, most, strided, flipped]
            });
            agree(&graph, &inputs, &format!("{n} {dtype:?}"));
        }
    }
}

#[test]
fn results_that_are_parameters_constants_or_the_same() {
    let inputs = [Tensor::from_vec(&[2], vec![1.0, 2.0])];
    let graph = program(&inputs, |b, v| {
        let c = b.constant(Tensor::from_vec(&[2], vec![3.0, 4.0]));
        let s = b.scalar(DType::F64, 5.0);
        let sum = b.add(v[0], c);
        let view = b.reshape(sum, &[2, 1]);
        let spread = b.broadcast(s, &[2, 2], &[]);
        vec![v[0], c, s, sum, sum, view, spread, v[0]]
    });
    agree(&graph, &inputs, "sources");
}

#[test]
fn many_axes() {
    let mut rng = Rng::new(6);
    let shape = [2, 1, 3, 1, 2, 2, 1, 2, 2, 1];
    let inputs = [rng.tensor(DType::F32, &shape)];
    let graph = program(&inputs, |b, v| {
        let turned = b.permute(v[0], &[9, 2, 0, 8, 4, 1, 3, 7, 6, 5]);
        let shape = b.shape(turned).to_vec();
        let twice = b.add(turned, turned);
        let flat = b.reshape(twice, &[96]);
        let sums = b.sum(turned, &[0, 2, 4, 7]);
        let back = b.reshape(flat, &shape);
        let joined = b.op(Op::Concat { axis: 3 }, &[back, turned]);
        vec![flat, sums, joined]
    });
    agree(&graph, &inputs, "ten axes");
}

#[test]
fn the_size_of_the_code_does_not_depend_on_trip_counts() {
    let graph = |cap: usize| {
        let ty = f64s(&[8]);
        let scan = scan_of(&[ty.clone(), int()], 0, 1, cap, |b, v| vec![b.op(Op::Sin, &[v[0]])]);
        program(&[Tensor::full(DType::F64, &[8], 0.0)], |b, v| b.emit(Op::Scan(scan.clone()), v))
    };
    let bytes = |cap| compile(&graph(cap)).expect("compiles").code_bytes();
    assert_eq!(bytes(10), bytes(1000));
}

#[test]
fn a_large_stack_that_is_hardly_used_costs_nothing() {
    let row = f64s(&[128]);
    let cap = 1 << 22;
    let mut scan = scan_of(&[row.clone(), int()], 0, 1, cap, |b, v| {
        let next = b.add(v[0], v[0]);
        let three = b.scalar(DType::I64, 3.0);
        let stop = b.op(Op::Eq, &[v[1], three]);
        vec![next, next, stop]
    });
    scan.trips = Trips::Until;
    let graph = program(&[Tensor::full(DType::F64, &[128], 1.0)], |b, v| {
        let outs = b.emit(Op::Scan(scan.clone()), v);
        // The loop back over the rows that ran.
        let mut back = scan_of(&[row.clone(), int(), row.clone()], 0, 1, cap, |b, v| vec![b.add(v[0], v[2])]);
        back.reverse = true;
        back.trips = Trips::Input;
        b.emit(Op::Scan(back), &[outs[0], outs[1], outs[2]])
    });
    let executable = compile(&graph).expect("compiles");
    assert!(executable.arena_bytes() < 1 << 16, "{}", executable.arena_bytes());
    let start = Instant::now();
    let result = executable.run(&[Tensor::full(DType::F64, &[128], 1.0)]).expect("runs");
    // 4 GiB are not touched.
    assert!(start.elapsed().as_secs_f64() < 1.0);
    assert_eq!(result[0].as_slice::<f64>()[0], 16.0 + 2.0 + 4.0 + 8.0 + 16.0);
}

#[test]
fn a_large_stack_in_a_loop_has_zeros_where_the_last_run_did_not_come() {
    // Inner loops of 5, 4, ..., 1 passes share one stack, which is summed every time.
    let row = f64s(&[300]);
    let cap = 1000;
    let mut inner = scan_of(&[int(), row.clone(), int()], 1, 1, cap, |b, v| {
        let next = b.add(v[1], v[1]);
        let stop = b.op(Op::Le, &[v[0], v[2]]);
        vec![next, next, stop]
    });
    inner.trips = Trips::Until;
    let outer = scan_of(&[row.clone(), int()], 0, 1, 5, |b, v| {
        let four = b.scalar(DType::I64, 4.0);
        let limit = b.sub(four, v[1]);
        let outs = b.emit(Op::Scan(inner.clone()), &[limit, v[0]]);
        let sums = b.sum(outs[1], &[0]);
        vec![v[0], sums, outs[2]]
    });
    let graph = program(&[Tensor::full(DType::F64, &[300], 1.0)], |b, v| b.emit(Op::Scan(outer.clone()), v));
    agree(&graph, &[Tensor::full(DType::F64, &[300], 1.0)], "marks");
}

#[test]
fn too_much_memory_is_refused_with_the_figure() {
    let graph = program(&[Tensor::scalar(1.0)], |b, v| {
        let x = b.broadcast(v[0], &[1000, 1000], &[]);
        let y = b.op(Op::Exp, &[x]);
        let z = b.op(Op::CumSum { axis: 0, reverse: false }, &[y]);
        vec![b.sum(z, &[0, 1])]
    });
    let options = Options { memory_limit: 1_000_000 };
    match compile_with(&graph, &options) {
        Err(CodegenError::Memory { bytes, limit }) => {
            assert!(bytes >= 8_000_000 && limit == 1_000_000, "{bytes}");
        }
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("compiled"),
    }
    assert!(compile(&graph).is_ok());
}

#[test]
fn faults_carry_the_place_of_their_expression() {
    let span = Span::new(FileId(0), 5, 9);
    let inputs = [Tensor::from_vec(&[3], vec![1i64, 2, 3]), Tensor::from_vec(&[3], vec![1i64, 0, 2])];
    let graph = |op: Op| {
        let mut b = Builder::default();
        let x = b.param(Type::of(&inputs[0]));
        let y = b.param(Type::of(&inputs[1]));
        let first = b.add(x, y);
        b.span = span;
        let out = b.op(op, &[first, y]);
        b.finish(vec![out])
    };
    for (op, kind) in
        [(Op::IntDiv, Some(FaultKind::DivisionByZero)), (Op::Mod, Some(FaultKind::DivisionByZero)), (Op::Gather, None)]
    {
        let graph = graph(op);
        agree(&graph, &inputs, "fault");
        let result = compile(&graph).expect("compiles").run(&inputs);
        match (result, kind) {
            (Err(fault), Some(kind)) => assert_eq!((fault.kind, fault.span), (kind, span)),
            (Ok(_), None) => {}
            (other, _) => panic!("{other:?}"),
        }
    }
}

#[test]
fn guards_warn_once_or_fault() {
    let body = |guard: Guard| {
        let ty = Type::scalar(DType::F64);
        scan_of(&[ty, int()], 0, 1, 5, move |b, v| {
            let no = b.scalar(DType::Bool, 0.0);
            let next = b.emit(Op::Guard(guard.clone()), &[no, v[0]]);
            vec![b.add(next[0], next[0])]
        })
    };
    let inputs = [Tensor::scalar(1.0)];
    let solver: Rc<str> = "ista".into();
    let graph = program(&inputs, |b, v| b.emit(Op::Scan(body(Guard::Unconverged { solver: solver.clone() })), v));
    agree(&graph, &inputs, "warns");
    let mut events = Vec::new();
    compile(&graph).expect("compiles").run_with(&inputs, &mut |event| events.push(event)).expect("runs");
    assert_eq!(events, vec![Event::Unconverged { solver: solver.clone(), span: Span::NONE }]);
    let graph = program(&inputs, |b, v| b.emit(Op::Scan(body(Guard::NotAtFixedPoint { solver: solver.clone() })), v));
    agree(&graph, &inputs, "faults");
}

#[test]
fn long_programs_are_split_and_compile_in_linear_time() {
    // Scalars that all stay alive: the worst case for one function.
    let graph = |n: usize| {
        let mut b = Builder::default();
        let x = b.param(Type::scalar(DType::F64));
        let y = b.param(f64s(&[3]));
        let mut values = vec![x];
        let mut array = y;
        for i in 0..n {
            let last = values[i];
            values.push(if i % 3 == 0 { b.op(Op::Sqrt, &[last]) } else { b.add(last, x) });
            if i % 50 == 0 {
                let spread = b.broadcast(values[i], &[3], &[]);
                array = b.add(array, spread);
            }
        }
        let mut total = x;
        for &value in values.iter().rev() {
            let product = b.mul(total, value);
            total = b.op(Op::Min, &[product, x]);
        }
        b.finish(vec![total, array])
    };
    let inputs = [Tensor::scalar(1.5), Tensor::from_vec(&[3], vec![0.1, 0.2, 0.3])];
    agree(&graph(5000), &inputs, "5000");
    let seconds = |n: usize| {
        let graph = graph(n);
        let start = Instant::now();
        compile(&graph).expect("compiles");
        start.elapsed().as_secs_f64()
    };
    // The best of several, since other work may run beside it; were it quadratic, it would be 64 times as long.
    let best = |n: usize, rounds: usize| (0..rounds).map(|_| seconds(n)).fold(f64::INFINITY, f64::min);
    let ratio = best(32_000, 2) / best(4000, 4);
    assert!(ratio < 40.0, "8 times the program takes {ratio} times as long");
}

#[test]
fn dropped_executables_free_their_memory() {
    let inputs = [Tensor::full(DType::F64, &[1000], 1.0)];
    let graph = program(&inputs, |b, v| {
        let x = b.op(Op::Exp, &[v[0]]);
        let y = b.op(Op::CumSum { axis: 0, reverse: false }, &[x]);
        vec![b.sum(y, &[0])]
    });
    // Other tests run at the same time, so memory in use says little; every module has mappings of its own.
    let mappings = || std::fs::read_to_string("/proc/self/maps").map(|maps| maps.lines().count()).ok();
    let round = || {
        for _ in 0..200 {
            let executable = compile(&graph).expect("compiles");
            executable.run(&inputs).expect("runs");
        }
    };
    round();
    let before = mappings();
    for _ in 0..4 {
        round();
    }
    if let (Some(before), Some(after)) = (before, mappings()) {
        assert!(after < before + 200, "{before} mappings, then {after}");
    }
}

#[test]
fn runs_reuse_their_memory_and_may_be_nested() {
    let inputs = [Tensor::full(DType::F64, &[100], 2.0)];
    let graph = program(&inputs, |b, v| {
        let x = b.op(Op::CumSum { axis: 0, reverse: true }, &[v[0]]);
        let y = b.op(Op::CumSum { axis: 0, reverse: false }, &[x]);
        vec![b.mul(y, y)]
    });
    let executable = compile(&graph).expect("compiles");
    let first = executable.run(&inputs).expect("runs");
    let second = executable.run(&[first[0].clone()]).expect("runs");
    let again = executable.run(&inputs).expect("runs");
    assert!(first[0].same_bits(&again[0]) && !first[0].same_bits(&second[0]));
}

#[test]
fn bounds_that_are_constants() {
    for dtype in [DType::F32, DType::F64] {
        let x = crate::prims::sample::awkward(dtype);
        let inputs = [x];
        let graph = program(&inputs, |b, v| {
            let ty = b.ty(v[0]).clone();
            let mut outs = Vec::new();
            for bound in [0.0, -0.0, 1.0, -2.5, f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
                let bound = b.fill(&ty, bound);
                for op in [Op::Max, Op::Min] {
                    outs.push(b.op(op.clone(), &[v[0], bound]));
                    outs.push(b.op(op, &[bound, v[0]]));
                }
            }
            outs
        });
        agree(&graph, &inputs, "bounds");
    }
}
