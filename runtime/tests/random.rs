//! Random numbers: known values, independence of the array's size, and simple statistics.

use dp_runtime::random::*;

fn uniforms(key: u64, n: usize) -> Vec<f64> {
    let mut out = vec![0.0; n];
    uniform_f64(key, &mut out);
    out
}

fn normals(key: u64, n: usize) -> Vec<f64> {
    let mut out = vec![0.0; n];
    normal_f64(key, &mut out);
    out
}

#[test]
fn seeds_mean_what_they_always_meant() {
    assert_eq!((fold_in(0, 0), fold_in(1, 5)), (0xca06_8379_b34b_8f2b, 0xf8a4_97b9_687c_686f));
    assert_eq!(split(42, 3), [0x3a28_d901_7e98_04fd, 0x8afc_f295_9593_5bb3, 0x8d98_c813_f543_85ec]);
    assert_eq!(uniforms(42, 3), [0.3482544685480763, 0.28569857126296205, 0.4934724642416646]);
    assert_eq!(normals(42, 3), [-0.20581220180265158, 0.902132752112314, -0.7870865549928759]);
    assert_eq!(permutation(42, 8), [4, 5, 0, 7, 1, 2, 3, 6]);
}

#[test]
fn an_element_depends_on_key_and_index_alone() {
    let (long_u, long_n, long_s) = (uniforms(9, 1000), normals(9, 1000), split(9, 1000));
    for n in [0, 1, 2, 7, 8, 9, 31, 64, 999] {
        assert_eq!(uniforms(9, n), long_u[..n]);
        assert_eq!(normals(9, n), long_n[..n]);
        assert_eq!(split(9, n), long_s[..n]);
    }
}

#[test]
fn narrow_numbers_are_the_wide_ones_rounded() {
    let (u, n) = (uniforms(3, 501), normals(3, 501));
    let (mut u32s, mut n32s) = (vec![0f32; 501], vec![0f32; 501]);
    uniform_f32(3, &mut u32s);
    normal_f32(3, &mut n32s);
    for i in 0..501 {
        assert_eq!(f64::from(u32s[i]), (u[i] * 16_777_216.0).floor() / 16_777_216.0);
        assert_eq!(n32s[i], n[i] as f32);
        assert!(u32s[i] < 1.0);
    }
}

#[test]
fn uses_of_one_key_and_neighbouring_keys_are_unrelated() {
    let mut seen = std::collections::HashSet::new();
    for key in 0..50 {
        assert!(seen.insert(key + 1000));
        for i in 0..50 {
            assert!(seen.insert(fold_in(key, i)), "fold_in({key}, {i})");
        }
        for word in split(key, 50) {
            assert!(seen.insert(word), "split of {key}");
        }
    }
    for key in 0..20 {
        let (a, b) = (uniforms(key, 4000), uniforms(key + 1, 4000));
        let products = a.iter().zip(&b).map(|(x, y)| (x - 0.5) * (y - 0.5)).sum::<f64>() / 4000.0;
        // The standard deviation of the mean is 1/12 / sqrt(4000).
        assert!(products.abs() < 5.0 / 12.0 / 4000f64.sqrt(), "correlation of {key} and its neighbour: {products}");
    }
}

#[test]
fn moments_and_histograms_are_those_of_the_distributions() {
    const N: usize = 200_000;
    for key in [0, 1, u64::MAX, 0x1234_5678_9abc_def0] {
        let u = uniforms(key, N);
        assert!(u.iter().all(|v| (0.0..1.0).contains(v)));
        let mut counts = [0f64; 100];
        u.iter().for_each(|v| counts[(v * 100.0) as usize] += 1.0);
        let expected = N as f64 / 100.0;
        let chi2: f64 = counts.iter().map(|c| (c - expected).powi(2) / expected).sum();
        // 99 degrees of freedom: beyond 5 standard deviations, 14.1 each.
        assert!((chi2 - 99.0).abs() < 5.0 * 14.1, "chi square {chi2}");
        let z = normals(key, N);
        let moment = |k: i32| z.iter().map(|v| v.powi(k)).sum::<f64>() / N as f64;
        let tolerance = |variance: f64| 5.0 * (variance / N as f64).sqrt();
        assert!(moment(1).abs() < tolerance(1.0), "mean {}", moment(1));
        assert!((moment(2) - 1.0).abs() < tolerance(2.0), "second moment {}", moment(2));
        assert!(moment(3).abs() < tolerance(15.0), "third moment {}", moment(3));
        assert!((moment(4) - 3.0).abs() < tolerance(96.0), "fourth moment {}", moment(4));
        let adjacent = z.windows(2).map(|w| w[0] * w[1]).sum::<f64>() / N as f64;
        assert!(adjacent.abs() < tolerance(1.0), "adjacent elements {adjacent}");
        assert!(z.iter().any(|v| v.abs() > 3.8), "tails are reached");
    }
}

#[test]
fn permutations_are_permutations_and_fair() {
    for n in [0, 1, 2, 10, 1000] {
        let mut p = permutation(5, n);
        p.sort_unstable();
        assert!(p.into_iter().eq(0..n as i64));
    }
    // Each of the 24 orders of 4 things about equally often.
    let mut counts = std::collections::HashMap::new();
    for key in 0..24_000 {
        *counts.entry(permutation(key, 4)).or_insert(0) += 1;
    }
    assert_eq!(counts.len(), 24);
    assert!(counts.values().all(|&c: &i32| (c - 1000).abs() < 5 * 32), "{counts:?}");
}
