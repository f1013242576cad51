//! What batching makes of indices and products.

use super::*;
use crate::ad::batch::{Lane, batch_lanes};
use crate::prims;

const F: DType = DType::F64;

fn ops(graph: &Graph) -> Vec<&'static str> {
    graph.eqns.iter().map(|eqn| prims::name(&eqn.op)).collect()
}

/// `x[i + offset, j]` (or `x[j, i + offset]`) for a scalar i and a scalar j.
fn element(shape: &[usize], offset: i64, scale: i64, first: bool) -> Graph {
    let mut b = Builder::default();
    let i = b.param(Type::scalar(DType::I64));
    let x = b.param(Type::new(F, shape));
    let j = b.param(Type::scalar(DType::I64));
    let scale = b.constant(Tensor::scalar(scale));
    let offset = b.constant(Tensor::scalar(offset));
    let scaled = b.mul(i, scale);
    let index = b.add(offset, scaled);
    let at = if first { [x, index, j] } else { [x, j, index] };
    let out = b.op(Op::Gather, &at);
    b.finish(vec![out])
}

#[test]
fn an_index_that_counts_lanes_becomes_a_slice() {
    let mut rng = Rng::new(1);
    let x = rng.tensor(F, &[7, 7]);
    for first in [true, false] {
        for (offset, scale, size) in [(0, 1, 7), (2, 1, 4), (1, 3, 2), (0, 2, 4), (3, 1, 0)] {
            let graph = element(&[7, 7], offset, scale, first);
            let (batched, flags) = batch_lanes(&graph, &[Lane::Index, Lane::Same, Lane::Same], size);
            assert_eq!(flags, [true]);
            let used = ops(&batched);
            assert!(!used.contains(&"iota"), "{}", show(&batched));
            let found = run(&batched, &[x.clone(), Tensor::scalar(5i64)]).remove(0);
            let expected: Vec<f64> = (0..size)
                .map(|i| run(&graph, &[Tensor::scalar(i as i64), x.clone(), Tensor::scalar(5i64)])[0].item())
                .collect();
            assert_eq!(found.to_f64_vec(), expected);
        }
    }
}

#[test]
fn an_index_that_leaves_the_array_still_faults() {
    for (offset, scale, size) in [(-1, 1, 3), (5, 1, 3), (0, 4, 3)] {
        let graph = element(&[7, 7], offset, scale, true);
        let (batched, _) = batch_lanes(&graph, &[Lane::Index, Lane::Same, Lane::Same], size);
        let x = Tensor::full(F, &[7, 7], 1.0);
        assert!(eval(&batched, &[x, Tensor::scalar(0i64)]).is_err(), "{}", show(&batched));
    }
}

/// `sum(A[i, k] * x[k] for k)` with the sum written as a product, for one i: what a comprehension lowers its body to.
#[test]
fn a_row_times_a_vector_in_all_lanes_is_one_product() {
    let (m, k) = (4, 3);
    let mut b = Builder::default();
    let i = b.param(Type::scalar(DType::I64));
    let a = b.param(Type::new(F, &[m, k]));
    let x = b.param(Type::new(F, &[k]));
    let row = b.op(Op::Gather, &[a, i]);
    let row = b.reshape(row, &[1, k]);
    let column = b.reshape(x, &[k, 1]);
    let out = b.op(Op::Dot { batch: 0 }, &[row, column]);
    let out = b.reshape(out, &[]);
    let graph = b.finish(vec![out]);
    let (batched, _) = batch_lanes(&graph, &[Lane::Index, Lane::Same, Lane::Same], m);
    let dots: Vec<&crate::ir::graph::Eqn> =
        batched.eqns.iter().filter(|eqn| matches!(eqn.op, Op::Dot { .. })).collect();
    assert_eq!(dots.len(), 1);
    assert!(matches!(dots[0].op, Op::Dot { batch: 0 }));
    assert_eq!(batched.shape(dots[0].outs[0]), [m, 1]);
    assert!(!ops(&batched).contains(&"gather"), "{}", show(&batched));
}

#[test]
fn a_matrix_times_a_vector_a_sample_is_one_product_with_samples_as_rows() {
    let mut b = Builder::default();
    let w = b.param(Type::new(F, &[5, 3]));
    let x = b.param(Type::new(F, &[3, 1]));
    let y = b.op(Op::Dot { batch: 0 }, &[w, x]);
    let graph = b.finish(vec![y]);
    let (batched, _) = batch(&graph, &[false, true], 8);
    let dot = batched.eqns.iter().find(|eqn| matches!(eqn.op, Op::Dot { batch: 0 })).expect("a product");
    assert_eq!(batched.shape(dot.args[0]), [8, 3]);
    assert_eq!(batched.shape(dot.outs[0]), [8, 5]);
}

#[test]
fn a_lane_number_inside_a_loop_stays_a_number() {
    // sum over k < 3 of x[i + 1] * k, with i the lane.
    let mut body = Builder::default();
    let i = body.param(Type::scalar(DType::I64));
    let x = body.param(Type::new(F, &[6]));
    let sum = body.param(Type::scalar(F));
    let k = body.param(Type::scalar(DType::I64));
    let one = body.constant(Tensor::scalar(1i64));
    let index = body.add(i, one);
    let value = body.op(Op::Gather, &[x, index]);
    let k = body.convert(k, F);
    let term = body.mul(value, k);
    let next = body.add(sum, term);
    let body = body.finish(vec![next]);
    let scan = crate::ir::graph::Scan {
        body: body.into(),
        consts: 2,
        carries: 1,
        cap: 3,
        trips: crate::ir::graph::Trips::All,
        reverse: false,
    };
    let mut b = Builder::default();
    let i = b.param(Type::scalar(DType::I64));
    let x = b.param(Type::new(F, &[6]));
    let zero = b.scalar(F, 0.0);
    let out = b.op(Op::Scan(scan), &[i, x, zero]);
    let graph = b.finish(vec![out]);
    let (batched, _) = batch_lanes(&graph, &[Lane::Index, Lane::Same], 5);
    let text = show(&batched);
    assert!(!text.contains("gather") && !text.contains("iota"), "{text}");
    let x = Tensor::from_vec(&[6], vec![9.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    assert_eq!(run(&batched, &[x])[0].to_f64_vec(), [3.0, 6.0, 9.0, 12.0, 15.0]);
}

#[test]
fn indices_that_differ_between_lanes_gather_scatter_and_update() {
    let mut rng = Rng::new(2);
    let index = |values: &[i64]| Tensor::from_vec(&[values.len()], values.to_vec());
    let scalar = |v: i64| Tensor::scalar(v);
    let lanes = |make: &mut dyn FnMut(usize) -> Vec<Tensor>| (0..3).map(make).collect::<Vec<_>>();
    let at = [[0i64, 2, 2], [1, 1, 3], [3, 0, 2]];
    let gathers = lanes(&mut |i| vec![rng.tensor(F, &[4, 4, 2]), index(&at[i]), index(&at[2 - i])]);
    let scatters = lanes(&mut |i| vec![rng.tensor(F, &[4, 2]), rng.tensor(F, &[3, 2]), index(&at[i])]);
    let updates =
        lanes(&mut |i| vec![rng.tensor(F, &[4, 4, 2]), rng.tensor(F, &[2]), scalar(at[i][0]), scalar(at[i][1])]);
    for (op, lanes) in [(Op::Gather, gathers), (Op::ScatterAdd, scatters), (Op::Update, updates)] {
        let graph = graph_of(&op, &lanes[0]);
        let active = floats(&lanes[0]);
        let gradient = grad_graph(&scalarized(&squared(&graph), &mut rng), &active).expect("a gradient");
        for subset in 0..1usize << active.len() {
            let mapped: Vec<bool> = (0..active.len()).map(|i| subset >> i & 1 == 1).collect();
            check_batch("indices", &graph, &lanes, &mapped);
            check_batch("the gradient of indices", &gradient, &lanes, &mapped);
        }
    }
}

/// The squares of a Graph's results.
fn squared(graph: &Graph) -> Graph {
    let mut b = Builder::default();
    let params: Vec<Var> = graph.param_types().into_iter().map(|ty| b.param(ty)).collect();
    let results = b.inline(graph, &params);
    let results = results.into_iter().map(|r| b.mul(r, r)).collect();
    b.finish(results)
}

#[test]
fn no_lanes_is_a_number_of_lanes() {
    let mut b = Builder::default();
    let w = b.param(Type::new(F, &[5, 3]));
    let x = b.param(Type::new(F, &[3, 1]));
    let y = b.op(Op::Dot { batch: 0 }, &[w, x]);
    let y = b.op(Op::Tanh, &[y]);
    let graph = b.finish(vec![y]);
    let (batched, _) = batch(&graph, &[false, true], 0);
    let found = run(&batched, &[Tensor::full(F, &[5, 3], 1.0), Tensor::full(F, &[0, 3, 1], 1.0)]);
    assert_eq!(found[0].shape(), [0, 5, 1]);
}
