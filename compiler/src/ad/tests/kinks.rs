//! Derivatives at the awkward points, as the reference gives them.

use super::*;
use crate::ad::linearize::linearize;
use crate::ad::transpose::check::check_linear;

const F: DType = DType::F64;

/// A Graph of vectors of length n.
fn on_vectors(count: usize, n: usize, f: &dyn Fn(&mut Builder, &[Var]) -> Var) -> Graph {
    let mut b = Builder::default();
    let params: Vec<Var> = (0..count).map(|_| b.param(Type::new(F, &[n]))).collect();
    let out = f(&mut b, &params);
    b.finish(vec![out])
}

fn vector(values: &[f64]) -> Tensor {
    Tensor::from_vec(&[values.len()], values.to_vec())
}

/// The gradient of the sum of the results, with respect to each parameter, one after another.
fn gradient(graph: &Graph, args: &[Tensor]) -> Vec<Vec<f64>> {
    let back = summed_gradient(graph);
    run(&back, args)[1..].iter().map(Tensor::to_f64_vec).collect()
}

fn summed(graph: &Graph) -> Graph {
    let mut b = Builder::default();
    let params: Vec<Var> = graph.param_types().into_iter().map(|ty| b.param(ty)).collect();
    let out = b.inline(graph, &params)[0];
    let axes: Vec<usize> = (0..b.ty(out).rank()).collect();
    let sum = b.sum(out, &axes);
    b.finish(vec![sum])
}

fn summed_gradient(graph: &Graph) -> Graph {
    grad_graph(&summed(graph), &vec![true; graph.params.len()]).expect("a gradient")
}

/// The diagonal of the second derivative of an elementwise function of one vector.
fn second(graph: &Graph, x: &Tensor) -> Vec<f64> {
    let mut first = summed_gradient(graph);
    first.results.remove(0);
    gradient(&first, std::slice::from_ref(x)).remove(0)
}

#[test]
fn ties_of_max_and_min_share_equally_but_not_with_a_constant() {
    for op in [Op::Max, Op::Min] {
        let sign = if matches!(op, Op::Max) { 1.0 } else { -1.0 };
        let both = on_vectors(2, 3, &|b, p| b.op(op.clone(), p));
        let found = gradient(&both, &[vector(&[1.0, 2.0, 3.0]), vector(&[1.0, 2.0 + sign, 3.0 - sign])]);
        assert_eq!(found, [[0.5, 0.0, 1.0], [0.5, 1.0, 0.0]]);
        let one = on_vectors(1, 3, &|b, p| {
            let zero = b.zeros(&Type::new(F, &[3]));
            b.op(op.clone(), &[p[0], zero])
        });
        assert_eq!(gradient(&one, &[vector(&[0.0, sign, -sign])]), [[0.0, 1.0, 0.0]]);
    }
}

#[test]
fn kinks_of_elementwise_functions_have_derivative_zero() {
    let abs = on_vectors(1, 3, &|b, p| b.op(Op::Abs, p));
    assert_eq!(gradient(&abs, &[vector(&[0.0, -0.0, -2.0])]), [[0.0, 0.0, -1.0]]);
    let sign = on_vectors(1, 3, &|b, p| b.op(Op::Sign, p));
    assert_eq!(gradient(&sign, &[vector(&[0.0, 1.0, -2.0])]), [[0.0; 3]]);
}

#[test]
fn a_mask_keeps_the_infinite_slope_of_its_other_side_away() {
    // where(x > 0, sqrt(x), 0)
    let graph = on_vectors(1, 2, &|b, p| {
        let zero = b.zeros(&Type::new(F, &[2]));
        let positive = b.op(Op::Lt, &[zero, p[0]]);
        let root = b.op(Op::Sqrt, p);
        b.select(positive, root, zero)
    });
    let x = vector(&[0.0, 4.0]);
    assert_eq!(gradient(&graph, std::slice::from_ref(&x)), [[0.0, 0.25]]);
    assert_eq!(second(&graph, &x), [0.0, -1.0 / 32.0]);
}

#[test]
fn powers_at_zero() {
    let power = |exponent: f64| {
        on_vectors(1, 2, &move |b, p| {
            let e = b.fill(&Type::new(F, &[2]), exponent);
            b.op(Op::Pow, &[p[0], e])
        })
    };
    let x = vector(&[0.0, 3.0]);
    assert_eq!(gradient(&power(2.0), std::slice::from_ref(&x)), [[0.0, 6.0]]);
    assert_eq!(gradient(&power(1.0), std::slice::from_ref(&x)), [[1.0, 1.0]]);
    assert_eq!(gradient(&power(0.0), std::slice::from_ref(&x)), [[0.0, 0.0]]);
    assert_eq!(second(&power(2.0), &x), [2.0, 2.0]);
    assert_eq!(second(&power(1.0), &x), [0.0, 0.0]);
}

#[test]
fn ties_of_a_reduction_share_equally_and_products_with_zeros_are_right() {
    let max = on_vectors(1, 4, &|b, p| b.op(Op::ReduceMax { axes: vec![0] }, p));
    assert_eq!(gradient(&max, &[vector(&[3.0, 1.0, 3.0, 3.0])]), [[1.0 / 3.0, 0.0, 1.0 / 3.0, 1.0 / 3.0]]);
    let prod = on_vectors(1, 3, &|b, p| b.op(Op::Prod { axes: vec![0] }, p));
    assert_eq!(gradient(&prod, &[vector(&[0.0, 2.0, 3.0])]), [[6.0, 0.0, 0.0]]);
    assert_eq!(gradient(&prod, &[vector(&[0.0, 2.0, 0.0])]), [[0.0, 0.0, 0.0]]);
    let sort = on_vectors(1, 3, &|b, p| {
        let sorted = b.op(Op::Sort, p);
        let weights = b.constant(vector(&[1.0, 2.0, 3.0]));
        b.mul(sorted, weights)
    });
    assert_eq!(gradient(&sort, &[vector(&[5.0, 1.0, 5.0])]), [[2.0, 1.0, 3.0]]);
}

#[test]
fn singular_values_have_derivatives_where_they_are_equal() {
    for (op, place) in [(Op::Svd, 1), (Op::SingularValues, 0)] {
        let mut b = Builder::default();
        let a = b.param(Type::new(F, &[2, 2]));
        let s = b.emit(op, &[a])[place];
        let graph = b.finish(vec![s]);
        let found = gradient(&graph, &[Tensor::from_vec(&[2, 2], vec![2.0, 0.0, 0.0, 2.0])]);
        assert!(distance(&found[0], &[1.0, 0.0, 0.0, 1.0]) < 1e-14, "{found:?}");
        let zero = gradient(&graph, &[Tensor::from_vec(&[2, 2], vec![0.0; 4])]);
        assert!(zero[0].iter().all(|x| x.is_finite()), "{zero:?}");
    }
}

#[test]
fn empty_arrays_have_empty_derivatives() {
    let graph = on_vectors(2, 0, &|b, p| b.mul(p[0], p[1]));
    assert_eq!(gradient(&graph, &[vector(&[]), vector(&[])]), [[0.0; 0]; 2]);
}

#[test]
fn nothing_flows_back_through_stop_gradient() {
    let graph = on_vectors(1, 2, &|b, p| {
        let fixed = b.op(Op::StopGradient, p);
        b.mul(fixed, p[0])
    });
    assert_eq!(gradient(&graph, &[vector(&[2.0, 3.0])]), [[2.0, 3.0]]);
}

#[test]
fn what_does_not_depend_on_a_parameter_has_zeros() {
    let mut b = Builder::default();
    let x = b.param(Type::new(F, &[2]));
    let y = b.param(Type::new(F, &[2]));
    let i = b.param(Type::scalar(DType::I64));
    let graph = b.finish(vec![y, i, x]);
    let split = linearize(&graph, &[true, false, false]).expect("linear");
    assert_eq!(split.residuals, 0);
    assert_eq!(split.tangent.params.len(), 1);
    assert_eq!(split.tangent.results.len(), 2);
    let found = run(&split.tangent, &[vector(&[1.0, 2.0])]);
    assert_eq!(found[0].to_f64_vec(), [0.0, 0.0]);
    assert_eq!(found[1].to_f64_vec(), [1.0, 2.0]);
}

#[test]
fn an_integer_parameter_has_no_derivative() {
    let mut b = Builder::default();
    let i = b.param(Type::scalar(DType::I64));
    let graph = b.finish(vec![i]);
    assert!(linearize(&graph, &[true]).is_err());
}

#[test]
fn tangent_graphs_are_linear_and_others_are_not() {
    for row in crate::prims::rows() {
        let (op, args) = (row.sample)(&mut Rng::new(5));
        let graph = graph_of(&op, &args);
        let split = linearize(&graph, &floats(&args)).expect("linear");
        assert_eq!(check_linear(&split.tangent, split.residuals), Ok(()), "{}", row.name);
    }
    let square = on_vectors(1, 2, &|b, p| b.mul(p[0], p[0]));
    assert_eq!(check_linear(&square, 0).map_err(|e| e.op), Err("mul".to_string()));
    let inverse = on_vectors(2, 2, &|b, p| b.div(p[0], p[1]));
    assert!(check_linear(&inverse, 1).is_err());
    assert!(check_linear(&on_vectors(1, 2, &|b, p| b.op(Op::Abs, p)), 0).is_err());
    let shifted = on_vectors(2, 2, &|b, p| b.add(p[0], p[1]));
    assert!(check_linear(&shifted, 0).is_ok());
    assert!(check_linear(&shifted, 1).is_err());
    let clipped = on_vectors(1, 2, &|b, p| b.op(Op::StopGradient, p));
    assert!(check_linear(&clipped, 0).is_err());
}
