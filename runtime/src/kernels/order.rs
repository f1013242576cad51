//! Sorting and the place of the greatest element. Safety: see `kernels`.

use std::cmp::Ordering;

/// Ascending, NaN last, both zeros equal.
pub fn ascending<T: PartialOrd>(a: &T, b: &T) -> Ordering {
    match a.partial_cmp(b) {
        Some(order) => order,
        None => {
            // NaN is the only value that does not equal itself.
            let (a_nan, b_nan) = (a.partial_cmp(a).is_none(), b.partial_cmp(b).is_none());
            a_nan.cmp(&b_nan)
        }
    }
}

/// Sorts each row of `n` contiguous elements, stably: values and their original places.
///
/// # Safety
/// As in `kernels`; all three are contiguous, `rows * n` long.
pub unsafe fn sort_rows<T: Copy + PartialOrd>(rows: usize, n: usize, x: *const T, values: *mut T, places: *mut i64) {
    if n == 0 {
        return;
    }
    for row in 0..rows {
        let (from, to, at) = unsafe {
            (
                std::slice::from_raw_parts(x.add(row * n), n),
                std::slice::from_raw_parts_mut(values.add(row * n), n),
                std::slice::from_raw_parts_mut(places.add(row * n), n),
            )
        };
        for (i, place) in at.iter_mut().enumerate() {
            *place = i as i64;
        }
        // Equal elements by their places: the same as a stable sort, and nothing is allocated.
        at.sort_unstable_by(|&a, &b| ascending(&from[a as usize], &from[b as usize]).then(a.cmp(&b)));
        for (value, &place) in to.iter_mut().zip(at.iter()) {
            *value = from[place as usize];
        }
    }
}

/// The first index along an axis, of size `n >= 1` and stride `step`, of the greatest (or least) element. A NaN
/// wins over every number.
///
/// # Safety
/// As in `kernels`.
pub unsafe fn first_best<T: Copy + PartialOrd>((n, step): (usize, isize), x: *const T, greatest: bool) -> i64 {
    let is_nan = |v: &T| v.partial_cmp(v).is_none();
    let mut best = 0;
    for i in 1..n as isize {
        let (candidate, leader) = unsafe { (*x.offset(i * step), *x.offset(best * step)) };
        let better = if greatest { candidate > leader } else { candidate < leader };
        if better || (is_nan(&candidate) && !is_nan(&leader)) {
            best = i;
        }
    }
    best as i64
}
