//! What the passes of a loop share: packed operands of products, and carries that lie in their stacks. And nests that follow
//! a kernel part by part.

use super::agree;
use super::control::{f64s, int, program, scan_of};
use crate::codegen::{compile, plan};
use crate::ir::builder::Builder;
use crate::ir::graph::{Graph, Op, Scan, Type, Var};
use crate::prims::sample::Rng;
use dp_runtime::abi::Kernel;
use dp_runtime::kernels::conv::Window;
use dp_runtime::tensor::{DType, Tensor};

fn turned(b: &mut Builder, x: Var) -> Var {
    b.op(Op::Permute { perm: vec![1, 0] }, &[x])
}

fn dot(b: &mut Builder, x: Var, y: Var) -> Var {
    b.op(Op::Dot { batch: 0 }, &[x, y])
}

/// How often a plan packs, and how many of its products take what was packed.
fn packings(graph: &Graph) -> [usize; 2] {
    let plan = plan::plan(graph).expect("it can be planned");
    let count = |wanted: fn(&Kernel) -> bool| plan.calls.iter().filter(|call| wanted(&call.kernel)).count();
    [count(|kernel| matches!(kernel, Kernel::Pack)), count(|kernel| matches!(kernel, Kernel::DotPacked))]
}

#[test]
fn operands_that_do_not_change_are_packed_once() {
    let mut rng = Rng::new(11);
    for dtype in [DType::F32, DType::F64] {
        // More than one block of k, and columns that do not fill the last panel.
        for (m, n) in [(20, 37), (33, 530)] {
            let inputs = [rng.tensor(dtype, &[m, n]), rng.tensor(dtype, &[n, n]), rng.tensor(dtype, &[n, n])];
            let ty = |shape: &[usize]| Type::new(dtype, shape);
            let types = [ty(&[n, n]), ty(&[n, n]), ty(&[m, n]), int()];
            // A twice and its transpose from the right; from the left nothing is packed.
            let scan = scan_of(&types, 2, 1, 3, |b, v| {
                let [a, c, x] = [v[0], v[1], v[2]];
                let at = turned(b, a);
                let (one, two, three) = (dot(b, x, a), dot(b, x, at), dot(b, x, a));
                let xt = turned(b, x);
                let four = dot(b, c, xt);
                let four = turned(b, four);
                let sum = b.add(one, two);
                let sum = b.add(sum, three);
                let sum = b.add(sum, four);
                vec![b.op(Op::Tanh, &[sum])]
            });
            let graph = program(&inputs, |b, v| b.emit(Op::Scan(scan.clone()), &[v[1], v[2], v[0]]));
            assert_eq!(packings(&graph), [2, 3], "{m} x {n}");
            agree(&graph, &inputs, &format!("{dtype:?} {m} x {n}"));
        }
    }
}

#[test]
fn what_an_inner_loop_packs_is_packed_before_the_outer_one_if_it_stays_the_same() {
    let mut rng = Rng::new(12);
    let inputs =
        [rng.tensor(DType::F64, &[20, 6]), rng.tensor(DType::F64, &[6, 6]), rng.tensor(DType::F64, &[4, 6, 6])];
    let inner = scan_of(&[f64s(&[6, 6]), f64s(&[6, 6]), f64s(&[20, 6]), int()], 2, 1, 3, |b, v| {
        let (one, two) = (dot(b, v[2], v[0]), dot(b, v[2], v[1]));
        let sum = b.add(one, two);
        vec![b.op(Op::Tanh, &[sum])]
    });
    // One matrix is the same in all passes of the outer loop, the other a row of a stack.
    let outer = scan_of(&[f64s(&[6, 6]), f64s(&[20, 6]), int(), f64s(&[6, 6])], 1, 1, 4, |b, v| {
        b.emit(Op::Scan(inner.clone()), &[v[0], v[3], v[1]])
    });
    let graph = program(&inputs, |b, v| b.emit(Op::Scan(outer.clone()), &[v[1], v[0], v[2]]));
    assert_eq!(packings(&graph), [2, 2]);
    let plan = plan::plan(&graph).expect("it can be planned");
    let outside = plan.steps.iter().filter(|step| match step {
        plan::Step::Call { call, .. } => matches!(plan.calls[*call].kernel, Kernel::Pack),
        _ => false,
    });
    assert_eq!(outside.count(), 1);
    agree(&graph, &inputs, "a loop in a loop");
}

/// The sum of a stack over its first axis, weighted by the number of the row.
fn weighed(b: &mut Builder, stack: Var, shape: &[usize]) -> Var {
    let rows = b.op(Op::Iota { shape: shape.to_vec(), axis: 0 }, &[]);
    let weights = b.op(Op::Convert(DType::F64), &[rows]);
    let product = b.mul(stack, weights);
    b.sum(product, &[0])
}

#[test]
fn carries_lie_in_the_stacks_of_their_values() {
    let mut rng = Rng::new(13);
    let n = 64;
    let inputs = [rng.tensor(DType::F64, &[n]), rng.tensor(DType::F64, &[n])];
    let ty = f64s(&[n]);
    let body = |stacks: usize| {
        move |b: &mut Builder, v: &[Var]| {
            // y is the value before: a carry that takes another carry's old value.
            let (x, y) = (v[0], v[1]);
            let sum = b.add(x, y);
            let sine = b.op(Op::Sin, &[sum]);
            let next = b.mul(sine, x);
            let results = [next, x];
            let stacked = match stacks {
                0 => vec![x],
                1 => vec![next],
                2 => vec![x, next],
                _ => vec![next, y, x],
            };
            [&results[..], &stacked].concat()
        }
    };
    for (kind, reverse) in [(0, false), (0, true), (1, false), (1, true), (2, false), (2, true), (3, false), (3, true)]
    {
        let scan = Scan { reverse, ..scan_of(&[ty.clone(), ty.clone(), int()], 0, 2, 5, body(kind)) };
        let run = |b: &mut Builder, v: &[Var], kept: bool| {
            // Initial values that are computed, and needed afterwards or not.
            let start = b.mul(v[0], v[1]);
            let outs = b.emit(Op::Scan(scan.clone()), &[start, v[1]]);
            let mut results: Vec<Var> = outs[2..].iter().map(|&stack| weighed(b, stack, &[5, n])).collect();
            results.push(b.add(outs[0], outs[1]));
            if kept {
                results.extend([start, outs[0]]);
            }
            results
        };
        for kept in [false, true] {
            let graph = program(&inputs, |b, v| run(b, v, kept));
            agree(&graph, &inputs, &format!("stacks {kind}, reverse {reverse}, kept {kept}"));
        }
        // Again and again, in a loop around it.
        let outer = scan_of(&[ty.clone(), ty.clone(), int()], 1, 1, 3, |b, v| {
            let outs = run(b, &[v[1], v[0]], false);
            vec![outs[0]]
        });
        let graph = program(&inputs, |b, v| b.emit(Op::Scan(outer.clone()), v));
        agree(&graph, &inputs, &format!("stacks {kind}, reverse {reverse}, in a loop"));
    }
}

#[test]
fn two_stacks_of_one_carry_take_the_memory_of_one() {
    let (n, passes) = (1000, 50);
    let input = Tensor::from_vec(&[n], vec![0.5f64; n]);
    let scan = scan_of(&[f64s(&[n]), int()], 0, 1, passes, |b, v| {
        let next = b.op(Op::Sin, &[v[0]]);
        vec![next, v[0], next]
    });
    let graph = program(std::slice::from_ref(&input), |b, v| {
        let outs = b.emit(Op::Scan(scan.clone()), v);
        let product = b.mul(outs[1], outs[2]);
        vec![b.sum(product, &[0, 1])]
    });
    agree(&graph, std::slice::from_ref(&input), "two stacks");
    let bytes = compile(&graph).expect("it compiles").arena_bytes() as usize;
    assert!(bytes < (passes + 3) * n * 8, "{bytes}");
}

/// How many calls have a nest that follows them.
fn followed(graph: &Graph) -> usize {
    plan::plan(graph).expect("it can be planned").calls.iter().filter(|call| call.then.is_some()).count()
}

#[test]
fn nests_follow_products_row_by_row() {
    let mut rng = Rng::new(14);
    let mut rowwise = 0;
    for dtype in [DType::F32, DType::F64] {
        // Too few rows to pack; several blocks of k; work for several threads.
        for (m, n) in [(2, 9), (70, 40), (50, 130), (20, 600), (400, 120)] {
            let ty = |shape: &[usize]| Type::new(dtype, shape);
            let inputs = [
                rng.tensor(dtype, &[n, n]),
                rng.tensor(dtype, &[n]),
                rng.tensor(dtype, &[m, n]),
                rng.tensor(dtype, &[m, n]),
            ];
            // With a row for all rows, and with arrays alone, which makes one long axis; with and without stacks.
            for (kind, stacked) in [(0, false), (0, true), (1, false), (1, true), (2, false), (2, true)] {
                let types = [ty(&[n, n]), ty(&[n]), ty(&[m, n]), ty(&[m, n]), int()];
                let scan = scan_of(&types, 3, 1, 4, |b, v| {
                    let [a, row, other, x] = [v[0], v[1], v[2], v[3]];
                    let product = dot(b, x, a);
                    let bias = match kind {
                        0 => b.broadcast(row, &[m, n], &[1]),
                        1 => other,
                        // The old value too: it cannot be written over before it is read.
                        _ => x,
                    };
                    let sum = b.add(product, bias);
                    let next = b.op(Op::Sin, &[sum]);
                    if stacked { vec![next, x, next, product] } else { vec![next] }
                });
                let graph = program(&inputs, |b, v| {
                    let outs = b.emit(Op::Scan(scan.clone()), v);
                    let stacks: Vec<Var> = outs[1..].iter().map(|&stack| b.sum(stack, &[0])).collect();
                    [vec![outs[0]], stacks].concat()
                });
                let what = format!("{dtype:?} {m} x {n}, kind {kind}, stacked {stacked}");
                let packed = packings(&graph)[1] > 0;
                assert!(!packed || followed(&graph) == usize::from(n >= 64 || kind == 0), "{what}");
                rowwise += followed(&graph);
                agree(&graph, &inputs, &what);
            }
        }
    }
    assert_eq!(rowwise, 40);
}

#[test]
fn nests_follow_convolutions_image_by_image() {
    let mut rng = Rng::new(15);
    for (images, channels, size) in [(3, 2, 7), (2, 40, 9), (1, 70, 8), (2, 64, 40)] {
        let inputs = [
            rng.tensor(DType::F32, &[images, 3, size, size]),
            rng.tensor(DType::F32, &[channels, 3, 3, 3]),
            rng.tensor(DType::F32, &[channels]),
        ];
        let window = Window { stride: [1; 2], dilation: [1; 2], spread: [1; 2], low: [1; 2], size: [size; 2] };
        let graph = program(&inputs, |b, v| {
            let result = b.op(Op::Conv { batch: 0, window }, &[v[0], v[1]]);
            let bias = b.broadcast(v[2], &[images, channels, size, size], &[1]);
            let sum = b.add(result, bias);
            let zero = b.scalar(DType::F32, 0.0);
            let zero = b.broadcast(zero, &[images, channels, size, size], &[]);
            vec![b.op(Op::Max, &[sum, zero])]
        });
        assert_eq!(followed(&graph), 1, "{images} {channels} {size}");
        agree(&graph, &inputs, &format!("{images} images, {channels} channels"));
    }
}

/// A convolution of two images with one channel each, and the maximum of its result and 0.
fn clipped(size: usize, channels: usize) -> Graph {
    let mut b = Builder::default();
    let [x, k] = [&[2, 1, size, size][..], &[channels, 1, 1, 1]].map(|shape| b.param(Type::new(DType::F32, shape)));
    let window = Window { stride: [1; 2], dilation: [1; 2], spread: [1; 2], low: [0; 2], size: [size; 2] };
    let result = b.op(Op::Conv { batch: 0, window }, &[x, k]);
    let zero = b.scalar(DType::F32, 0.0);
    let zero = b.broadcast(zero, &[2, channels, size, size], &[]);
    let clipped = b.op(Op::Max, &[result, zero]);
    b.finish(vec![clipped])
}

#[test]
fn large_parts_of_results_are_in_the_arena_whose_size_is_known() {
    for (size, large) in [(256, false), (512, true)] {
        // 32 channels of an image are 8 and 32 MB.
        let graph = clipped(size, 32);
        assert_eq!(followed(&graph), 1);
        let bytes = compile(&graph).expect("it compiles").arena_bytes();
        assert_eq!(bytes >= 2 * 32 * size * size * 4, large, "{bytes}");
    }
}

#[test]
fn a_result_that_only_its_nest_reads_has_no_place() {
    let (m, n) = (200, 64);
    let inputs = [Tensor::from_vec(&[n, n], vec![0.01f64; n * n]), Tensor::from_vec(&[m, n], vec![0.5f64; m * n])];
    let bytes = |again: bool| {
        let scan = scan_of(&[f64s(&[n, n]), f64s(&[m, n]), int()], 1, 1, 3, |b, v| {
            let product = dot(b, v[1], v[0]);
            let next = b.op(Op::Sin, &[product]);
            let next = if again {
                let turned = b.op(Op::Reverse { axes: vec![0] }, &[product]);
                b.add(next, turned)
            } else {
                next
            };
            vec![next]
        });
        let graph = program(&inputs, |b, v| b.emit(Op::Scan(scan.clone()), v));
        agree(&graph, &inputs, &format!("read again: {again}"));
        assert_eq!(followed(&graph), usize::from(!again));
        compile(&graph).expect("it compiles").arena_bytes() as usize
    };
    assert!(bytes(true) >= bytes(false) + m * n * 8);
}
