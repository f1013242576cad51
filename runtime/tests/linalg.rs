//! Decompositions on known and random matrices, and on bad input.

use dp_runtime::fault::FaultKind;
use dp_runtime::linalg::*;
use dp_runtime::random;
use std::mem::MaybeUninit;

fn matrix(key: u64, n: usize) -> Vec<f64> {
    let mut out = vec![0.0; n];
    random::normal_f64(key, &mut out);
    out
}

/// `a^T b` or `a b` in row-major order.
fn product(a: &[f64], b: &[f64], m: usize, k: usize, n: usize) -> Vec<f64> {
    (0..m * n).map(|at| (0..k).map(|l| a[at / n * k + l] * b[l * n + at % n]).sum()).collect()
}

fn transposed(a: &[f64], m: usize, n: usize) -> Vec<f64> {
    (0..m * n).map(|at| a[at % m * n + at / m]).collect()
}

fn assert_close(a: &[f64], b: &[f64], tolerance: f64) {
    assert_eq!(a.len(), b.len());
    for (x, y) in a.iter().zip(b) {
        assert!((x - y).abs() <= tolerance, "{x} against {y}");
    }
}

fn identity(n: usize) -> Vec<f64> {
    (0..n * n).map(|at| if at / n == at % n { 1.0 } else { 0.0 }).collect()
}

#[test]
fn svd_gives_back_the_matrix_with_orthonormal_factors_and_unique_signs() {
    for (m, n) in [(1, 1), (3, 3), (5, 2), (2, 5), (40, 17), (17, 40), (1, 6), (6, 1), (80, 80)] {
        let a = matrix((m * 100 + n) as u64, m * n);
        let k = m.min(n);
        let (u, s, v) = svd_f64(&a, m, n);
        assert_eq!((u.len(), s.len(), v.len()), (m * k, k, n * k));
        assert!(s.windows(2).all(|w| w[0] >= w[1]) && s.iter().all(|&x| x >= 0.0), "{s:?}");
        let us: Vec<f64> = u.iter().enumerate().map(|(at, x)| x * s[at % k]).collect();
        assert_close(&product(&us, &transposed(&v, n, k), m, k, n), &a, 1e-13 * s[0] * 10.0);
        assert_close(&product(&transposed(&u, m, k), &u, k, m, k), &identity(k), 1e-13);
        assert_close(&product(&transposed(&v, n, k), &v, k, n, k), &identity(k), 1e-13);
        for j in 0..k {
            let column: Vec<f64> = (0..m).map(|i| u[i * k + j]).collect();
            let largest = column.iter().fold(0.0f64, |a, &b| if b.abs() > a.abs() { b } else { a });
            assert!(largest > 0.0);
        }
        assert_eq!(svd_f64(&a, m, n), (u, s.clone(), v), "the same bits again");
        let narrow: Vec<f32> = a.iter().map(|&x| x as f32).collect();
        let (_, s32, _) = svd_f32(&narrow, m, n);
        for (x, y) in s32.iter().zip(&s) {
            assert!((f64::from(*x) - y).abs() < 1e-5 * s[0]);
        }
    }
}

/// The singular values alone.
fn values<T: Real>(a: &[T], m: usize, n: usize) -> Vec<T> {
    let mut s = vec![T::ZERO; m.min(n)];
    let mut room = vec![MaybeUninit::uninit(); singular_values_room::<T>(m, n)];
    singular_values_into((m, n), a, &mut s, &mut room);
    s
}

#[test]
fn singular_values_alone_are_those_of_the_decomposition() {
    for (m, n) in [(1, 1), (3, 3), (5, 2), (2, 5), (40, 17), (1, 6), (6, 1), (131, 129), (129, 400), (300, 150)] {
        let a = matrix((m * 100 + n) as u64, m * n);
        let found = values(&a, m, n);
        let (_, s, _) = svd_f64(&a, m, n);
        assert_close(&found, &s, 1e-13 * s[0]);
        assert_eq!(values(&a, m, n), found, "the same bits again");
        let narrow: Vec<f32> = a.iter().map(|&x| x as f32).collect();
        let found: Vec<f64> = values(&narrow, m, n).into_iter().map(f64::from).collect();
        assert_close(&found, &s, 3e-5 * s[0]);
    }
    // Differences of neighbours: 2 sin(k pi / 2n), of which many are close. Equal values, also 0.
    let n = 200;
    let differences = |at: usize| f64::from(at % n == at / n + 1) - f64::from(at % n == at / n);
    let a: Vec<f64> = (0..(n - 1) * n).map(differences).collect();
    let want: Vec<f64> = (1..n).rev().map(|k| 2.0 * (std::f64::consts::PI * k as f64 / (2 * n) as f64).sin()).collect();
    assert_close(&values(&a, n - 1, n), &want, 1e-13);
    assert_close(&values(&identity(150), 150, 150), &[1.0; 150], 1e-14);
    assert_eq!(values(&[0.0; 6], 3, 2), [0.0; 2]);
    assert_eq!(values(&[0.0; 160 * 140], 160, 140), [0.0; 140]);
    assert_close(&values(&[1.0; 140 * 140], 140, 140)[..2], &[140.0, 0.0], 1e-12);
    assert!(values::<f64>(&[], 0, 3).is_empty());
    assert!(values(&[1.0, f64::INFINITY, 0.0, 1.0], 2, 2).iter().all(|s| s.is_nan()));
    assert_close(&[values(&[1e300, 0.0, 0.0, 1e-300], 2, 2)[0] / 1e300], &[1.0], 1e-14);
    // Room for the matrix, and little besides.
    let bytes = singular_values_room::<f64>(200, 199);
    assert!(bytes < 8 * 200 * 199 * 3 / 2, "{bytes}");
}

#[test]
fn svd_of_odd_matrices() {
    assert_eq!(svd_f64(&[], 0, 3), (vec![], vec![], vec![]));
    assert_eq!(svd_f64(&[], 3, 0), (vec![], vec![], vec![]));
    let (u, s, v) = svd_f64(&[0.0; 6], 3, 2);
    assert_eq!(s, [0.0, 0.0]);
    assert!(u.iter().chain(&v).all(|x| x.is_finite()));
    let (u, s, v) = svd_f64(&[1.0, f64::NAN, 0.0, 1.0], 2, 2);
    assert!(u.iter().chain(&s).chain(&v).all(|x| x.is_nan()));
    let (_, s, _) = svd_f64(&[1e300, 0.0, 0.0, 1e-300], 2, 2);
    assert_close(&[s[0] / 1e300], &[1.0], 1e-14);
    // diag(-3, 2): the sign goes to v.
    let (u, s, v) = svd_f64(&[-3.0, 0.0, 0.0, 2.0], 2, 2);
    assert_close(&u, &identity(2), 1e-15);
    assert_close(&s, &[3.0, 2.0], 1e-15);
    assert_close(&v, &[-1.0, 0.0, 0.0, 1.0], 1e-15);
}

#[test]
fn solve_solves() {
    for (n, p) in [(1, 1), (2, 3), (7, 1), (50, 4), (0, 2), (3, 0)] {
        let (a, x) = (matrix(n as u64, n * n), matrix(99, n * p));
        let b = product(&a, &x, n, n, p);
        let solved = solve_f64(&a, &b, n, p).expect("not singular");
        assert_close(&solved, &x, 1e-10);
        let narrow = |v: &[f64]| v.iter().map(|&x| x as f32).collect::<Vec<f32>>();
        let solved: Vec<f64> =
            solve_f32(&narrow(&a), &narrow(&b), n, p).expect("not singular").into_iter().map(f64::from).collect();
        assert_close(&solved, &x, 2e-2);
    }
    // Needs a row exchange.
    assert_eq!(solve_f64(&[0.0, 2.0, 4.0, 0.0], &[2.0, 4.0], 2, 1), Ok(vec![1.0, 1.0]));
}

#[test]
fn solve_refuses_a_singular_matrix_and_passes_nan_on() {
    assert_eq!(solve_f64(&[1.0, 2.0, 2.0, 4.0], &[1.0, 1.0], 2, 1), Err(FaultKind::Singular));
    assert_eq!(solve_f64(&[0.0; 9], &[1.0; 3], 3, 1), Err(FaultKind::Singular));
    assert_eq!(solve_f32(&[0.0], &[1.0], 1, 1), Err(FaultKind::Singular));
    let x = solve_f64(&[1.0, 0.0, 0.0, 1.0], &[f64::NAN, 1.0], 2, 1).expect("not singular");
    assert!(x[0].is_nan());
}

#[test]
fn cholesky_factors_the_symmetric_part() {
    for n in [1, 2, 5, 40] {
        let x = matrix(n as u64, n * n);
        let mut a = product(&transposed(&x, n, n), &x, n, n, n);
        (0..n).for_each(|i| a[i * n + i] += 1.0);
        let l = cholesky(&a, n).expect("positive definite");
        assert_close(&product(&l, &transposed(&l, n, n), n, n, n), &a, 1e-11);
        assert!((0..n).all(|i| l[i * n + i] > 0.0 && (i + 1..n).all(|j| l[i * n + j] == 0.0)));
        // An antisymmetric part is not seen.
        if n > 1 {
            a[1] += 0.5;
            a[n] -= 0.5;
            assert_close(&cholesky(&a, n).expect("positive definite"), &l, 1e-12);
        }
    }
    assert_eq!(cholesky(&[1.0, 2.0, 2.0, 1.0], 2), Err(FaultKind::NotPositiveDefinite));
    assert_eq!(cholesky::<f64>(&[], 0), Ok(vec![]));
    assert!(cholesky(&[f64::NAN, 0.0, 0.0, 1.0], 2).expect("no fault")[0].is_nan());
}

#[test]
fn triangular_systems_read_their_triangle() {
    for (n, p) in [(1, 1), (4, 2), (30, 3)] {
        let mut t = matrix(n as u64 + 50, n * n);
        (0..n).for_each(|i| t[i * n + i] += 5.0);
        let b = matrix(7, n * p);
        for lower in [true, false] {
            let kept = |i: usize, j: usize| if lower { j <= i } else { j >= i };
            let full: Vec<f64> = (0..n * n).map(|at| if kept(at / n, at % n) { t[at] } else { 0.0 }).collect();
            let x = triangular_solve(lower, &t, &b, n, p).expect("regular");
            assert_close(&product(&full, &x, n, n, p), &b, 1e-11);
        }
    }
    assert_eq!(triangular_solve(true, &[1.0, 0.0, 1.0, 0.0], &[1.0, 1.0], 2, 1), Err(FaultKind::Singular));
}

#[test]
fn determinants_are_those_of_known_matrices() {
    assert_eq!(det(&[1.0, 2.0, 3.0, 4.0], 2), -2.0);
    assert_eq!(det::<f64>(&[], 0), 1.0);
    assert_eq!(slogdet::<f64>(&[], 0), (1.0, 0.0));
    // A cyclic exchange of three rows is even, of four odd.
    for (n, sign) in [(3, 1.0), (4, -1.0)] {
        let cyclic: Vec<f64> = (0..n * n).map(|at| if (at / n + 1) % n == at % n { 2.0 } else { 0.0 }).collect();
        assert_eq!(det(&cyclic, n), sign * 2f64.powi(n as i32));
        let (s, log) = slogdet(&cyclic, n);
        assert!(s == sign && (log - n as f64 * std::f64::consts::LN_2).abs() < 1e-14);
    }
    // Vandermonde: the product of differences.
    let points = [0.5, -1.0, 2.0, 3.0];
    let powers: Vec<f64> = (0..16).map(|at| f64::powi(points[at / 4], (at % 4) as i32)).collect();
    let expected: f64 = (0..4).flat_map(|i| (0..i).map(move |j| points[i] - points[j])).product();
    assert!((det(&powers, 4) - expected).abs() < 1e-12 * expected.abs());
    assert_eq!(slogdet(&[1.0, 2.0, 2.0, 4.0], 2), (0.0, f64::NEG_INFINITY));
    assert!(det(&[f64::NAN, 0.0, 0.0, 1.0], 2).is_nan() && slogdet(&[f64::NAN, 0.0, 0.0, 1.0], 2).1.is_nan());
}

#[test]
fn qr_gives_back_the_matrix_with_a_unique_triangle() {
    for (m, n) in [(1, 1), (3, 3), (5, 2), (2, 5), (40, 17), (0, 3), (3, 0)] {
        let a = matrix((m * 100 + n) as u64, m * n);
        let k = m.min(n);
        let (q, r) = qr(&a, m, n);
        assert_close(&product(&q, &r, m, k, n), &a, 1e-12);
        assert_close(&product(&transposed(&q, m, k), &q, k, m, k), &identity(k), 1e-13);
        assert!((0..k).all(|i| r[i * n + i] >= 0.0 && (0..i).all(|j| r[i * n + j] == 0.0)));
    }
}

#[test]
fn eigh_gives_back_the_symmetric_part() {
    for n in [1, 2, 3, 20, 60] {
        let x = matrix(n as u64 + 9, n * n);
        let a: Vec<f64> = (0..n * n).map(|at| (x[at] + x[at % n * n + at / n]) / 2.0).collect();
        let (w, v) = eigh(&x, n);
        assert!(w.windows(2).all(|w| w[0] <= w[1]));
        let vw: Vec<f64> = v.iter().enumerate().map(|(at, x)| x * w[at % n]).collect();
        assert_close(&product(&vw, &transposed(&v, n, n), n, n, n), &a, 1e-12);
        assert_close(&product(&transposed(&v, n, n), &v, n, n, n), &identity(n), 1e-13);
    }
    assert_eq!(eigh(&[2.0, 0.0, 0.0, -1.0], 2).0, [-1.0, 2.0]);
    assert!(eigh(&[f64::INFINITY, 0.0, 0.0, 1.0], 2).0[0].is_nan());
}

#[test]
fn lu_gives_back_the_rows_in_their_order() {
    for (m, n) in [(1, 1), (4, 4), (5, 2), (2, 5), (40, 17), (17, 40), (60, 60)] {
        let a = matrix((m * 77 + n) as u64, m * n);
        let k = m.min(n);
        let (p, l, u) = lu::<f64>(&a, m, n);
        let mut seen = p.clone();
        seen.sort_unstable();
        assert_eq!(seen, (0..m as i64).collect::<Vec<_>>(), "an order of all rows");
        let rows: Vec<f64> = p.iter().flat_map(|&row| a[row as usize * n..(row as usize + 1) * n].to_vec()).collect();
        assert_close(&product(&l, &u, m, k, n), &rows, 1e-13 * (k as f64).max(10.0));
        for (at, &entry) in l.iter().enumerate() {
            let (i, j) = (at / k, at % k);
            assert!(if i == j {
                entry == 1.0
            } else if i < j {
                entry == 0.0
            } else {
                entry.abs() <= 1.0
            });
        }
        assert!(u.iter().enumerate().all(|(at, &entry)| at / n <= at % n || entry == 0.0));
        assert_eq!(lu::<f64>(&a, m, n), (p, l, u), "the same bits again");
    }
    // Singular, and not finite.
    let (p, l, u) = lu::<f64>(&[1.0, 2.0, 2.0, 4.0], 2, 2);
    assert_eq!((p, l, u), (vec![1, 0], vec![1.0, 0.0, 0.5, 1.0], vec![2.0, 4.0, 0.0, 0.0]));
    let (p, l, u) = lu::<f64>(&[f64::NAN, 2.0, 2.0, 4.0], 2, 2);
    assert!(p == [0, 1] && l[2].is_nan() && u[0].is_nan() && u[2] == 0.0);
    assert_eq!(lu::<f32>(&[], 0, 3), (vec![], vec![], vec![]));
}
