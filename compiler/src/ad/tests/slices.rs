//! Cotangents of slices: pieces of one array are joined, not padded one by one.

use super::*;

/// sum_i tanh(x[a_i:b_i])^2 weighted by i + 1, the slices along one axis.
fn sliced(shape: &[usize], axis: usize, bounds: &[(usize, usize)]) -> Graph {
    let mut b = Builder::default();
    let x = b.param(Type::new(DType::F64, shape));
    let mut total = b.scalar(DType::F64, 0.0);
    for (i, &(from, to)) in bounds.iter().enumerate() {
        let (mut start, mut stop) = (vec![0; shape.len()], shape.to_vec());
        (start[axis], stop[axis]) = (from, to);
        let part = b.op(Op::Slice { start, stop, stride: vec![1; shape.len()] }, &[x]);
        let part = b.op(Op::Tanh, &[part]);
        let square = b.mul(part, part);
        let sum = b.sum(square, &(0..shape.len()).collect::<Vec<_>>());
        let weight = b.scalar(DType::F64, (i + 1) as f64);
        let term = b.mul(weight, sum);
        total = b.add(total, term);
    }
    b.finish(vec![total])
}

fn count(graph: &Graph, name: &str) -> usize {
    graph.eqns.iter().filter(|eqn| crate::prims::name(&eqn.op) == name).count()
}

#[test]
fn slices_that_do_not_overlap_become_one_array() {
    let shape = [12, 3];
    let x = Rng::new(2).tensor(DType::F64, &shape);
    let rows: Vec<(usize, usize)> = (0..12).map(|i| (i, i + 1)).collect();
    // All rows; some, with gaps and ends; neighbours that overlap by one; columns.
    for (axis, bounds, concats, pads) in [
        (0, rows.clone(), 1, 0),
        (0, vec![(7, 9), (2, 5)], 1, 1),
        (0, (0..11).map(|i| (i, i + 2)).collect(), 2, 1),
        (0, vec![(3, 4)], 0, 1),
        (1, vec![(2, 3), (0, 1)], 1, 0),
    ] {
        let graph = sliced(&shape, axis, &bounds);
        check_derivatives("slices", &graph, std::slice::from_ref(&x));
        let grad = grad_graph(&graph, &[true]).expect("a gradient");
        assert_eq!((count(&grad, "concat"), count(&grad, "pad")), (concats, pads), "{axis} {bounds:?}");
    }
}
