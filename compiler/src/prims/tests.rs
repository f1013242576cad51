//! One loop over the table tests every row.

use super::sample::{Rng, Use, awkward, awkward_pairs, same};
use super::*;
use dp_runtime::tensor::DType;

/// Some random uses and all awkward ones.
fn uses(row: &Prim) -> Vec<Use> {
    let mut rng = Rng::new(1);
    let mut uses: Vec<Use> = (0..20).map(|_| (row.sample)(&mut rng)).collect();
    uses.extend((row.special)());
    uses
}

fn run(op: &Op, args: &[Tensor]) -> Vec<Tensor> {
    eval(op, args).unwrap_or_else(|fault| panic!("{op:?} on {args:?}: {fault}"))
}

fn one(op: Op, args: &[Tensor]) -> Tensor {
    run(&op, args).remove(0)
}

fn vector(values: &[f64]) -> Tensor {
    Tensor::from_vec(&[values.len()], values.to_vec())
}

#[test]
fn every_row_has_its_own_name_and_a_summary() {
    let mut names: Vec<&str> = rows().iter().map(|row| row.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), rows().len());
    for row in rows() {
        assert!(row.doc.lines().next().is_some_and(|line| line.ends_with('.')), "{}: {:?}", row.name, row.doc);
    }
}

#[test]
fn samples_are_of_their_row() {
    for row in rows() {
        for (op, _) in uses(row) {
            assert_eq!(name(&op), row.name);
        }
    }
}

#[test]
fn results_have_the_types_of_the_rule_and_the_same_bits_each_time() {
    for row in rows() {
        for (op, args) in uses(row) {
            let types: Vec<Type> = args.iter().map(Type::of).collect();
            let types: Vec<&Type> = types.iter().collect();
            let expected = result(&op, &types).unwrap_or_else(|why| panic!("{op:?} on {types:?}: {why}"));
            let values = run(&op, &args);
            assert_eq!(values.iter().map(Type::of).collect::<Vec<_>>(), expected, "{op:?} on {types:?}");
            // Once more, in place: the operands are copies that nobody else holds.
            let owned = args.iter().map(|arg| value::view(arg, arg.shape(), &value::strides(arg.shape()), 0)).collect();
            let again = eval_owned(&op, owned).expect("it did not fault before");
            assert!(values.iter().zip(&again).all(|(a, b)| same(a, b)), "{op:?} on {args:?}: {values:?} and {again:?}");
        }
    }
}

#[test]
fn rules_refuse_operands_in_a_wrong_number() {
    for row in rows() {
        let (op, args) = (row.sample)(&mut Rng::new(3));
        let variadic = matches!(op, Op::Concat { .. } | Op::Gather | Op::Guard(_));
        let key = Type::new(DType::Key, &[2, 2, 2, 2, 2]);
        let types: Vec<Type> = args.iter().map(Type::of).collect();
        let mut types: Vec<&Type> = types.iter().collect();
        types.push(&key);
        assert!(row.name == "guard" || result(&op, &types).is_err(), "{}", row.name);
        types.truncate(args.len().saturating_sub(1));
        assert!(variadic || args.is_empty() || result(&op, &types).is_err(), "{}", row.name);
    }
}

#[test]
fn rules_refuse_sizes_that_overflow() {
    let scalar = Type::scalar(DType::F64);
    for shape in [vec![usize::MAX], vec![1 << 40, 1 << 40], vec![1 << 40, 1 << 40, 0], vec![1 << 61]] {
        assert!(result(&Op::Broadcast { shape: shape.clone(), axes: vec![] }, &[&scalar]).is_err());
        assert!(result(&Op::Iota { shape, axis: 0 }, &[]).is_err());
    }
    let one = Type::new(DType::F64, &[1]);
    let pad = |low, high, interior| Op::Pad { low: vec![low], high: vec![high], interior: vec![interior] };
    assert!(result(&pad(usize::MAX, 1, 0), &[&one]).is_err());
    assert!(result(&pad(0, 0, usize::MAX), &[&Type::new(DType::F64, &[9])]).is_err());
}

#[test]
fn rules_refuse_what_the_graph_forbids() {
    let f = Type::new(DType::F64, &[2, 3]);
    let i = Type::new(DType::I64, &[2, 3]);
    let wide = Type::new(DType::F64, &[2, 4]);
    let refused: Vec<(Op, Vec<&Type>)> = vec![
        (Op::Add, vec![&f, &wide]),
        (Op::Add, vec![&f, &i]),
        (Op::Exp, vec![&i]),
        (Op::And, vec![&f, &f]),
        (Op::Sum { axes: vec![] }, vec![&f]),
        (Op::Sum { axes: vec![1, 0] }, vec![&f]),
        (Op::Sum { axes: vec![2] }, vec![&f]),
        (Op::Reshape { shape: vec![7] }, vec![&f]),
        (Op::Permute { perm: vec![0, 0] }, vec![&f]),
        (Op::Slice { start: vec![0, 2], stop: vec![1, 1], stride: vec![1, 1] }, vec![&f]),
        (Op::Slice { start: vec![0, 0], stop: vec![1, 4], stride: vec![1, 1] }, vec![&f]),
        (Op::Slice { start: vec![0, 0], stop: vec![1, 1], stride: vec![1, 0] }, vec![&f]),
        (Op::Broadcast { shape: vec![3, 2], axes: vec![0, 1] }, vec![&f]),
        (Op::Concat { axis: 0 }, vec![&f, &wide]),
        (Op::Dot { batch: 0 }, vec![&f, &wide]),
        (Op::Dot { batch: 0 }, vec![&i, &i]),
        (Op::Gather, vec![&f, &f]),
        (Op::Gather, vec![&f, &i, &i, &i]),
        (Op::Convert(DType::Key), vec![&f]),
        (Op::ArgMax { axis: 2 }, vec![&f]),
    ];
    for (op, types) in refused {
        assert!(result(&op, &types).is_err(), "{op:?} on {types:?}");
    }
}

#[test]
fn faults_name_the_first_index_that_is_out_of_range() {
    let x = Tensor::full(DType::F64, &[2, 3], 1.0);
    let gather = |i: i64, j: i64| {
        let list = |k: i64| Tensor::from_vec(&[2], vec![0, k]);
        eval(&Op::Gather, &[x.clone(), list(i), list(j)])
    };
    assert!(gather(1, 2).is_ok());
    assert_eq!(gather(-1, 2).err(), Some(FaultKind::IndexOutOfRange { index: -1, size: 2, axis: 0 }));
    assert_eq!(gather(1, 3).err(), Some(FaultKind::IndexOutOfRange { index: 3, size: 3, axis: 1 }));
    let update = eval(&Op::Update, &[x, Tensor::full(DType::F64, &[3], 0.0), Tensor::scalar(2i64)]);
    assert_eq!(update.err(), Some(FaultKind::IndexOutOfRange { index: 2, size: 2, axis: 0 }));
    let zero = Tensor::scalar(0i64);
    assert_eq!(eval(&Op::IntDiv, &[zero.clone(), zero.clone()]).err(), Some(FaultKind::DivisionByZero));
    assert_eq!(eval(&Op::Mod, &[zero.clone(), zero]).err(), Some(FaultKind::DivisionByZero));
    let singular = Tensor::full(DType::F64, &[2, 2], 0.0);
    assert_eq!(eval(&Op::Solve, &[singular.clone(), singular]).err(), Some(FaultKind::Singular));
}

#[test]
fn division_rounds_down_and_the_remainder_has_the_divisors_sign() {
    for (a, b, quotient, remainder) in
        [(7, 2, 3, 1), (-7, 2, -4, 1), (7, -2, -4, -1), (-7, -2, 3, -1), (6, -3, -2, 0), (i64::MIN, -1, i64::MIN, 0)]
    {
        let args = [Tensor::scalar::<i64>(a), Tensor::scalar::<i64>(b)];
        assert_eq!(one(Op::IntDiv, &args).as_slice::<i64>(), [quotient]);
        assert_eq!(one(Op::Mod, &args).as_slice::<i64>(), [remainder]);
    }
}

#[test]
fn extremes_know_nan_and_the_sign_of_zero() {
    let pairs = awkward_pairs(DType::F64);
    let (greatest, least) = (one(Op::Max, &pairs), one(Op::Min, &pairs));
    let (a, b) = (pairs[0].as_slice::<f64>(), pairs[1].as_slice::<f64>());
    for (i, (max, min)) in greatest.as_slice::<f64>().iter().zip(least.as_slice::<f64>()).enumerate() {
        if a[i].is_nan() || b[i].is_nan() {
            assert!(max.is_nan() && min.is_nan());
            continue;
        }
        let (low, high) = if a[i].total_cmp(&b[i]).is_lt() { (a[i], b[i]) } else { (b[i], a[i]) };
        assert_eq!((max.to_bits(), min.to_bits()), (high.to_bits(), low.to_bits()), "{} {}", a[i], b[i]);
        // A reduction over the two agrees.
        let two = vector(&[a[i], b[i]]);
        assert_eq!(one(Op::ReduceMax { axes: vec![0] }, std::slice::from_ref(&two)).item().to_bits(), high.to_bits());
        assert_eq!(one(Op::ReduceMin { axes: vec![0] }, &[two]).item().to_bits(), low.to_bits());
    }
}

#[test]
fn mulz_annihilates_only_what_is_not_a_number() {
    let nan = f64::NAN;
    let inf = f64::INFINITY;
    let a = vector(&[0.0, -0.0, nan, inf, 1.0, nan, -0.0, 3.0]);
    let b = vector(&[nan, inf, 0.0, -0.0, nan, nan, 2.0, 0.5]);
    let product = one(Op::MulZ, &[a, b]);
    let bits: Vec<u64> = product.as_slice::<f64>().iter().map(|v| v.to_bits()).collect();
    assert_eq!(bits[..4], [0; 4]);
    assert!(product.as_slice::<f64>()[4].is_nan() && product.as_slice::<f64>()[5].is_nan());
    assert_eq!(bits[6..], [(-0.0f64).to_bits(), 1.5f64.to_bits()]);
}

#[test]
fn conversions_saturate_and_round_as_documented() {
    let x = vector(&[1.9, -1.9, f64::NAN, 1e30, -1e30, 0.0]);
    assert_eq!(
        one(Op::Convert(DType::I64), std::slice::from_ref(&x)).as_slice::<i64>(),
        [1, -1, 0, i64::MAX, i64::MIN, 0]
    );
    assert_eq!(one(Op::Convert(DType::Bool), &[x]).as_slice::<bool>(), [true, true, true, true, true, false]);
    // 2^24 + 1 lies between two f32s, above its midpoint once 2^-30 of an i64 is added; one rounding, not two.
    let big = (1i64 << 60) + (1 << 36) + 1;
    let rounded = one(Op::Convert(DType::F32), &[Tensor::scalar(big)]);
    assert_eq!(rounded.as_slice::<f32>(), [((1i64 << 60) + (1 << 37)) as f32]);
}

#[test]
fn structure_moves_elements_where_the_definition_says() {
    let mut rng = Rng::new(5);
    for _ in 0..200 {
        let (op, args) = match rng.below(5) {
            0 => (structure::PERMUTE.sample)(&mut rng),
            1 => (structure::SLICE.sample)(&mut rng),
            2 => (structure::REVERSE.sample)(&mut rng),
            3 => (structure::BROADCAST.sample)(&mut rng),
            _ => (structure::PAD.sample)(&mut rng),
        };
        let result = one(op.clone(), &args);
        let (from, to) = (args[0].shape(), result.shape());
        let (x, y) = (args[0].to_f64_vec(), result.to_f64_vec());
        for (place, &found) in y.iter().enumerate() {
            let index = unravel(place, to);
            // The operand's index along each of its axes, or none where there is padding.
            let source: Option<Vec<usize>> = match &op {
                Op::Permute { perm } => {
                    (0..from.len()).map(|i| perm.iter().position(|&p| p == i).map(|j| index[j])).collect()
                }
                Op::Slice { start, stride, .. } => {
                    (0..from.len()).map(|i| Some(start[i] + index[i] * stride[i])).collect()
                }
                Op::Reverse { axes } => (0..from.len())
                    .map(|i| Some(if axes.contains(&i) { from[i] - 1 - index[i] } else { index[i] }))
                    .collect(),
                Op::Broadcast { axes, .. } => axes.iter().map(|&axis| Some(index[axis])).collect(),
                Op::Pad { low, interior, .. } => (0..from.len())
                    .map(|i| {
                        let inside = index[i].checked_sub(low[i])?;
                        let step = interior[i] + 1;
                        (inside % step == 0 && inside / step < from[i]).then_some(inside / step)
                    })
                    .collect(),
                other => panic!("unexpected {other:?}"),
            };
            let expected = source.map_or(0.0, |source| x[ravel(&source, from)]);
            assert_eq!(found.to_bits(), expected.to_bits(), "{op:?} at {index:?}");
        }
    }
}

fn unravel(mut place: usize, shape: &[usize]) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for axis in (0..shape.len()).rev() {
        index[axis] = place % shape[axis];
        place /= shape[axis];
    }
    index
}

fn ravel(index: &[usize], shape: &[usize]) -> usize {
    index.iter().zip(shape).fold(0, |place, (&i, &n)| place * n + i)
}

#[test]
fn reductions_agree_with_loops_over_indices() {
    let mut rng = Rng::new(6);
    for _ in 0..300 {
        let (op, args) = match rng.below(4) {
            0 => (reductions::SUM.sample)(&mut rng),
            1 => (reductions::PROD.sample)(&mut rng),
            2 => (reductions::REDUCE_MAX.sample)(&mut rng),
            _ => (reductions::REDUCE_MIN.sample)(&mut rng),
        };
        let x = args[0].to_f64_vec();
        let from = args[0].shape();
        type Fold = fn(f64, f64) -> f64;
        let (axes, start, fold): (&[usize], f64, Fold) = match &op {
            Op::Sum { axes } => (axes, 0.0, |a, b| a + b),
            Op::Prod { axes } => (axes, 1.0, |a, b| a * b),
            Op::ReduceMax { axes } => (axes, f64::NEG_INFINITY, |a, b| if a > b { a } else { b }),
            Op::ReduceMin { axes } => (axes, f64::INFINITY, |a, b| if a < b { a } else { b }),
            other => panic!("unexpected {other:?}"),
        };
        let to = shape::without(from, axes);
        let mut expected = vec![start; to.iter().product()];
        for (place, &value) in x.iter().enumerate() {
            let index = unravel(place, from);
            let kept: Vec<usize> = (0..from.len()).filter(|i| !axes.contains(i)).map(|i| index[i]).collect();
            let target = ravel(&kept, &to);
            expected[target] = fold(expected[target], value);
        }
        let tolerance = if args[0].dtype() == DType::F32 { 1e-4 } else { 1e-11 };
        for (found, expected) in one(op.clone(), &args).to_f64_vec().iter().zip(&expected) {
            assert!((found - expected).abs() <= tolerance * expected.abs().max(1.0), "{op:?}: {found} {expected}");
        }
    }
}

#[test]
fn sorting_is_stable_with_nan_last() {
    let x = vector(&[2.0, f64::NAN, -0.0, 0.0, f64::NEG_INFINITY, f64::NAN, 2.0]);
    let sorted = run(&Op::Sort, std::slice::from_ref(&x));
    assert_eq!(sorted[1].as_slice::<i64>(), [4, 2, 3, 0, 6, 1, 5]);
    assert!(sorted[0].as_slice::<f64>()[5].is_nan() && sorted[0].as_slice::<f64>()[6].is_nan());
    assert_eq!(one(Op::ArgMax { axis: 0 }, std::slice::from_ref(&x)).as_slice::<i64>(), [1]);
    assert_eq!(one(Op::ArgMin { axis: 0 }, &[x]).as_slice::<i64>(), [1]);
    let x = vector(&[2.0, -0.0, 0.0, 2.0]);
    assert_eq!(one(Op::ArgMax { axis: 0 }, std::slice::from_ref(&x)).as_slice::<i64>(), [0]);
    assert_eq!(one(Op::ArgMin { axis: 0 }, &[x]).as_slice::<i64>(), [1]);
}

#[test]
fn running_sums_run_in_both_directions() {
    let x = Tensor::from_vec(&[2, 3], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let sums = |axis, reverse| one(Op::CumSum { axis, reverse }, std::slice::from_ref(&x)).to_f64_vec();
    assert_eq!(sums(1, false), [1.0, 3.0, 6.0, 4.0, 9.0, 15.0]);
    assert_eq!(sums(1, true), [6.0, 5.0, 3.0, 15.0, 11.0, 6.0]);
    assert_eq!(sums(0, false), [1.0, 2.0, 3.0, 5.0, 7.0, 9.0]);
    assert_eq!(sums(0, true), [5.0, 7.0, 9.0, 4.0, 5.0, 6.0]);
}

#[test]
fn scatter_adds_what_gather_reads() {
    let mut rng = Rng::new(8);
    for _ in 0..50 {
        let (_, args) = (indexing::SCATTER_ADD.sample)(&mut rng);
        if args[0].dtype() != DType::F64 {
            continue;
        }
        // <gather(x, i), u> = <x, scatter_add(0, u, i)>.
        let (x, u, indices) = (&args[0], &args[1], &args[2..]);
        let read = one(Op::Gather, &[vec![x.clone()], indices.to_vec()].concat());
        let zeros = Tensor::full(DType::F64, x.shape(), 0.0);
        let added = one(Op::ScatterAdd, &[vec![zeros, u.clone()], indices.to_vec()].concat());
        let product = |a: &Tensor, b: &Tensor| -> f64 {
            a.as_slice::<f64>().iter().zip(b.as_slice::<f64>()).map(|(a, b)| a * b).sum()
        };
        assert!((product(&read, u) - product(x, &added)).abs() < 1e-10);
    }
}

#[test]
fn solve_and_svd_do_what_they_say() {
    let mut rng = Rng::new(9);
    for _ in 0..30 {
        let (op, args) = (linalg::SOLVE.sample)(&mut rng);
        let tolerance = if args[0].dtype() == DType::F32 { 1e-4 } else { 1e-12 };
        let x = one(op, &args);
        let back = one(Op::Dot { batch: x.shape().len() - 2 }, &[args[0].clone(), x]);
        for (found, expected) in back.to_f64_vec().iter().zip(args[1].to_f64_vec()) {
            assert!((found - expected).abs() < tolerance);
        }

        let (op, args) = (linalg::SVD.sample)(&mut rng);
        let tolerance = if args[0].dtype() == DType::F32 { 1e-4 } else { 1e-12 };
        let parts = run(&op, &args);
        let rank = args[0].shape().len();
        let mut perm: Vec<usize> = (0..rank).collect();
        perm.swap(rank - 2, rank - 1);
        let axes = (0..rank - 2).chain([rank - 1]).collect();
        let s = one(Op::Broadcast { shape: parts[0].shape().to_vec(), axes }, &[parts[1].clone()]);
        let scaled = one(Op::Mul, &[parts[0].clone(), s]);
        let right = one(Op::Permute { perm }, &[parts[2].clone()]);
        let back = one(Op::Dot { batch: rank - 2 }, &[scaled, right]);
        for (found, expected) in back.to_f64_vec().iter().zip(args[0].to_f64_vec()) {
            assert!((found - expected).abs() < tolerance, "{found} {expected}");
        }
    }
}

#[test]
fn an_elementwise_operation_sees_one_place_at_a_time() {
    for row in rows() {
        let (op, args) = (row.sample)(&mut Rng::new(4));
        let elementwise = args.iter().all(|arg| arg.shape() == args[0].shape())
            && matches!(
                op,
                Op::Neg | Op::Exp | Op::Sqrt | Op::Tanh | Op::Add | Op::MulZ | Op::Pow | Op::Lt | Op::Select
            );
        if !elementwise {
            continue;
        }
        let whole = one(op.clone(), &args);
        for place in 0..whole.len() {
            let single = |x: &Tensor| value::view(x, &[1], &[1], place as isize);
            let alone = one(op.clone(), &args.iter().map(single).collect::<Vec<_>>());
            assert!(same(&alone, &single(&whole)), "{}", row.name);
        }
    }
    assert_eq!(awkward(DType::F64).len(), one(Op::Exp, &[awkward(DType::F64)]).len());
}
