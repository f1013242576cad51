//! The order of additions in sums and products, which is part of their meaning.
//!
//! Plain code that follows the definition; the compiled kernels are written separately and must give the same bits.

/// Elements along the last axes that lanes sum together before the tree.
pub const CHUNK: usize = 4096;
/// Rows, along other axes than the last, that one chain sums.
pub const BLOCK: usize = 256;
/// Terms of a matrix product that one chain sums.
pub const PRODUCT_BLOCK: usize = 512;

/// The sum of `values[..p]` and of `values[p..]`, each in this way, with p the largest power of two below the length.
pub fn tree<T: Clone>(values: &[T], add: &impl Fn(T, T) -> T) -> Option<T> {
    match values {
        [] => None,
        [value] => Some(value.clone()),
        _ => {
            let (low, high) = values.split_at(values.len().next_power_of_two() / 2);
            Some(add(tree(low, add)?, tree(high, add)?))
        }
    }
}

macro_rules! float_sums {
    ($module:ident, $T:ty, $lanes:expr) => {
        pub mod $module {
            use super::{BLOCK, CHUNK, PRODUCT_BLOCK, tree};

            /// Accumulators side by side.
            pub const LANES: usize = $lanes;

            /// The sum of `n` terms in lanes and chunks, where `step(acc, i)` adds term i.
            fn lanes(n: usize, step: impl Fn($T, usize) -> $T) -> $T {
                let mut chunks = Vec::with_capacity(n.div_ceil(CHUNK));
                for start in (0..n).step_by(CHUNK) {
                    let stop = n.min(start + CHUNK);
                    let mut acc: [$T; LANES] = [0.0; LANES];
                    for row in (start..stop).step_by(LANES) {
                        for (i, acc) in (row..stop).zip(&mut acc) {
                            *acc = step(*acc, i);
                        }
                    }
                    let mut width = LANES;
                    while width > 1 {
                        width /= 2;
                        for lane in 0..width {
                            acc[lane] += acc[lane + width];
                        }
                    }
                    chunks.push(acc[0]);
                }
                tree(&chunks, &|a, b| a + b).unwrap_or(0.0)
            }

            /// The sum over the last axes.
            pub fn sum(x: &[$T]) -> $T {
                lanes(x.len(), |acc, i| acc + x[i])
            }

            /// The product of two vectors.
            pub fn dot(a: &[$T], b: &[$T]) -> $T {
                lanes(a.len(), |acc, i| a[i].mul_add(b[i], acc))
            }

            /// The sum of the rows of a matrix with `m` columns.
            pub fn sum_rows(x: &[$T], m: usize) -> Vec<$T> {
                if m == 0 {
                    return Vec::new();
                }
                let block = |rows: &[$T]| {
                    let mut acc: Vec<$T> = vec![0.0; m];
                    for row in rows.chunks_exact(m) {
                        acc.iter_mut().zip(row).for_each(|(acc, v)| *acc += v);
                    }
                    acc
                };
                let blocks: Vec<Vec<$T>> = x.chunks(BLOCK * m).map(block).collect();
                let add = |mut a: Vec<$T>, b: Vec<$T>| {
                    a.iter_mut().zip(&b).for_each(|(a, b)| *a += b);
                    a
                };
                tree(&blocks, &add).unwrap_or_else(|| vec![0.0; m])
            }

            /// The product of an m x k and a k x n matrix, row-major.
            pub fn product(a: &[$T], b: &[$T], m: usize, k: usize, n: usize) -> Vec<$T> {
                if m == 0 || n == 0 {
                    return Vec::new();
                }
                if m == 1 || n == 1 {
                    let columns = transposed(b, k, n);
                    let at = |row: usize, column: usize| dot(&a[row * k..][..k], &columns[column * k..][..k]);
                    return (0..m).flat_map(|i| (0..n).map(move |j| (i, j))).map(|(i, j)| at(i, j)).collect();
                }
                let mut result: Vec<$T> = vec![0.0; m * n];
                let mut chain: Vec<$T> = vec![0.0; n];
                for (i, row) in result.chunks_exact_mut(n).enumerate() {
                    for start in (0..k).step_by(PRODUCT_BLOCK) {
                        chain.fill(0.0);
                        for term in start..k.min(start + PRODUCT_BLOCK) {
                            let left = a[i * k + term];
                            let right = &b[term * n..(term + 1) * n];
                            chain.iter_mut().zip(right).for_each(|(acc, &right)| *acc = left.mul_add(right, *acc));
                        }
                        if start == 0 {
                            row.copy_from_slice(&chain);
                        } else {
                            row.iter_mut().zip(&chain).for_each(|(sum, block)| *sum += block);
                        }
                    }
                }
                result
            }

            fn transposed(b: &[$T], k: usize, n: usize) -> Vec<$T> {
                (0..n).flat_map(|j| (0..k).map(move |i| b[i * n + j])).collect()
            }
        }
    };
}
float_sums!(f32s, f32, 32);
float_sums!(f64s, f64, 16);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prims::sample::Rng;

    #[test]
    fn a_tree_splits_at_the_largest_power_of_two_below_the_length() {
        let text = |n: usize| {
            let leaves: Vec<String> = (0..n).map(|i| i.to_string()).collect();
            tree(&leaves, &|a, b| format!("({a}+{b})"))
        };
        assert_eq!(text(0), None);
        assert_eq!(text(1).as_deref(), Some("0"));
        assert_eq!(text(4).as_deref(), Some("((0+1)+(2+3))"));
        assert_eq!(text(5).as_deref(), Some("(((0+1)+(2+3))+4)"));
        assert_eq!(text(7).as_deref(), Some("(((0+1)+(2+3))+((4+5)+6))"));
    }

    #[test]
    fn sums_are_accurate_at_every_length_around_the_block_sizes() {
        let mut rng = Rng::new(1);
        for n in [0, 1, 15, 16, 17, 31, 32, 33, 255, 256, 257, 4095, 4096, 4097, 8193, 20000] {
            let x: Vec<f64> = (0..n).map(|_| rng.real(-1.0, 1.0)).collect();
            let y: Vec<f64> = (0..n).map(|_| rng.real(-1.0, 1.0)).collect();
            let single: Vec<f32> = x.iter().map(|&v| v as f32).collect();
            let exact: f64 = x.iter().sum();
            let exact_single: f64 = single.iter().map(|&v| f64::from(v)).sum();
            let bound = 1e-15 * (n as f64 + 1.0);
            assert!((f64s::sum(&x) - exact).abs() <= bound, "sum of {n}");
            assert!((f64s::sum_rows(&x, 1).iter().sum::<f64>() - exact).abs() <= bound, "rows of {n}");
            assert!((f64::from(f32s::sum(&single)) - exact_single).abs() <= 1e-6 * (n as f64 + 1.0), "f32 sum of {n}");
            let product: f64 = x.iter().zip(&y).map(|(a, b)| a * b).sum();
            assert!((f64s::dot(&x, &y) - product).abs() <= bound, "dot of {n}");
        }
    }

    #[test]
    fn products_agree_with_the_textbook_triple_loop() {
        let mut rng = Rng::new(2);
        for (m, k, n) in [(0, 3, 2), (2, 0, 3), (1, 5, 7), (7, 5, 1), (1, 1, 1), (3, 600, 4), (2, 1025, 2), (5, 6, 7)] {
            let a: Vec<f64> = (0..m * k).map(|_| rng.real(-1.0, 1.0)).collect();
            let b: Vec<f64> = (0..k * n).map(|_| rng.real(-1.0, 1.0)).collect();
            let result = f64s::product(&a, &b, m, k, n);
            assert_eq!(result.len(), m * n);
            for (i, value) in result.iter().enumerate() {
                let exact: f64 = (0..k).map(|t| a[(i / n) * k + t] * b[t * n + i % n]).sum();
                assert!((value - exact).abs() <= 1e-15 * (k as f64 + 1.0), "{m}x{k}x{n}");
            }
        }
    }

    #[test]
    fn the_orders_are_the_defined_ones() {
        // 2^24 swallows a single 1 added to it in f32, so the order shows in the result.
        let big = 16_777_216.0f32;
        let mut x = vec![0.0f32; 64];
        x[0] = big;
        x[32] = 1.0;
        x[1] = 1.0;
        // Lane 0 swallows the first 1, the tree adds lane 1 last of all.
        assert_eq!(f32s::sum(&x), big);
        x[33] = 1.0;
        assert_eq!(f32s::sum(&x), big + 2.0);
        // Rows: the first block swallows every 1, the second counts its own.
        let mut rows = vec![1.0f32; 512];
        rows[0] = big;
        assert_eq!(f32s::sum_rows(&rows, 1), [big + 256.0]);
        // Products: blocks of 512.
        let mut a = vec![1.0f32; 2 * 1024];
        a[0] = big;
        let b = vec![1.0f32; 1024 * 2];
        assert_eq!(f32s::product(&a, &b, 2, 1024, 2), [big + 512.0, big + 512.0, 1024.0, 1024.0]);
        // A sum starts from +0.
        assert!(f32s::sum(&[-0.0]).is_sign_positive() && f32s::sum_rows(&[-0.0], 1)[0].is_sign_positive());
    }
}
