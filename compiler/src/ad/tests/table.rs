//! Every row of the primitive table.

use super::*;
use crate::prims::{self, Prim};

/// Random uses of a row in double precision.
fn uses(row: &Prim, count: usize) -> Vec<(Op, Vec<Tensor>)> {
    let mut rng = Rng::new(11);
    let mut found = Vec::new();
    for _ in 0..400 {
        if found.len() == count {
            break;
        }
        let (op, args) = (row.sample)(&mut rng);
        let graph = graph_of(&op, &args);
        if graph.types.iter().all(|ty| ty.dtype != DType::F32) {
            found.push((op, args));
        }
    }
    found
}

#[test]
fn derivatives_of_every_row_agree_with_differences() {
    // The one row whose derivative is not that of its values.
    for row in prims::rows().iter().filter(|row| row.name != "stop_gradient") {
        let uses = uses(row, 8);
        let floating: Vec<_> = uses.iter().filter(|(_, args)| floats(args).contains(&true)).collect();
        let mut checked = 0;
        for (op, args) in &floating {
            let graph = graph_of(op, args);
            if is_smooth_at(&graph, args) {
                check_derivatives(row.name, &graph, args);
                checked += 1;
            }
        }
        assert!(2 * checked >= floating.len(), "{}: {checked} of {} points", row.name, floating.len());
    }
}

#[test]
fn every_row_batches() {
    let mut rng = Rng::new(3);
    for row in prims::rows() {
        for (op, args) in uses(row, 6) {
            let graph = graph_of(&op, &args);
            let lanes: Vec<Vec<Tensor>> = (0..3).map(|i| lane_args(&mut rng, &args, i)).collect();
            for subset in 0..1usize << args.len().min(4) {
                let mapped: Vec<bool> = (0..args.len()).map(|i| subset >> i & 1 == 1).collect();
                check_batch(row.name, &graph, &lanes, &mapped);
            }
        }
    }
}

#[test]
fn derivatives_of_every_row_batch() {
    let mut rng = Rng::new(5);
    for row in prims::rows() {
        for (op, args) in uses(row, 2) {
            if !floats(&args).contains(&true) {
                continue;
            }
            let graph = grad_graph(&scalarized(&graph_of(&op, &args), &mut rng), &floats(&args)).expect("a gradient");
            let lanes: Vec<Vec<Tensor>> = (0..3).map(|i| lane_args(&mut rng, &args, i)).collect();
            check_batch(row.name, &graph, &lanes, &vec![true; args.len()]);
        }
    }
}

/// Arguments near the sample's; integers and bools must stay what they are to be legal together.
fn lane_args(rng: &mut Rng, args: &[Tensor], lane: usize) -> Vec<Tensor> {
    args.iter()
        .map(|arg| match arg.dtype() {
            DType::F64 => {
                let data = arg.to_f64_vec().iter().map(|v| v * rng.real(0.99, 1.01)).collect();
                Tensor::from_vec(arg.shape(), data)
            }
            DType::Key => {
                let data = arg.as_slice::<u64>().iter().map(|k| k.wrapping_add(lane as u64)).collect();
                Tensor::from_vec(arg.shape(), data)
            }
            DType::F32 | DType::I64 | DType::Bool => arg.clone(),
        })
        .collect()
}
