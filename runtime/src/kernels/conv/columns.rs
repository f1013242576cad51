//! Lanes over the columns of the result. Safety: see `kernels`.

use super::list::{Cell, List, MOST_BLOCKS, Way};
use super::{Group, Part, Phase, Place, Sizes, write};
use crate::kernels::simd::Simd;
use crate::kernels::space::{Use, space};
use crate::kernels::{DOT_BLOCK, Real};
use std::ops::Range;

/// Vectors of columns in a tile.
const VECTORS: usize = 2;

/// Lists at hand: that of the tiles inside an image, and those of a few at its edges.
const LISTS: usize = 4;

/// Where an image lies: columns side by side, sorted by their remainders if there is a stride.
#[derive(Clone, Copy)]
struct Image<T> {
    at: *const T,
    channel: isize,
    row: isize,
}

/// # Safety
/// As in `kernels`.
#[inline(always)]
pub unsafe fn run<S: Simd, const M: usize>(group: &Group<S::T>, part: &Part) {
    let taps = group.plan.sizes.taps();
    let weights = space::<S::T>(Use::Panels, taps * M);
    for n in part.images.clone() {
        let image = unsafe { image(group, n) };
        let mut channel = part.channels.start;
        while channel < part.channels.end {
            let left = part.channels.end - channel;
            macro_rules! band {
                ($count:expr) => {{
                    unsafe {
                        pack(group, channel, $count, weights);
                        band::<S, $count>(group, (n, channel), &part.rows, image, weights);
                    }
                    channel += $count;
                }};
            }
            match left {
                8.. if const { M >= 8 } => band!(8),
                4.. if const { M >= 4 } => band!(4),
                2.. if const { M >= 2 } => band!(2),
                _ => band!(1),
            }
        }
    }
}

/// The image as the tiles read it: a copy if its columns do not lie side by side.
#[inline(always)]
unsafe fn image<T: Real>(group: &Group<T>, n: usize) -> Image<T> {
    let Sizes { c, h, w, .. } = group.plan.sizes;
    let stride = group.plan.window.stride[1];
    let [sn, sc, sy, sx] = group.x_strides;
    let x = unsafe { group.x.offset(n as isize * sn) };
    if stride == 1 && sx == 1 {
        return Image { at: x, channel: sc, row: sy };
    }
    let length = w.div_ceil(stride);
    let row = stride * length;
    let to = space::<T>(Use::Image, c * h * row);
    for channel in 0..c {
        for y in 0..h {
            for rest in 0..stride.min(w) {
                unsafe {
                    let from = x.offset(channel as isize * sc + y as isize * sy);
                    let to = to.add((channel * h + y) * row + rest * length);
                    for (i, column) in (rest..w).step_by(stride).enumerate() {
                        *to.add(i) = *from.offset(column as isize * sx);
                    }
                }
            }
        }
    }
    Image { at: to, channel: (h * row) as isize, row: row as isize }
}

/// Copies the weights of `count` channels of the result from `channel` on: tap by tap, the channels side by side.
#[inline(always)]
unsafe fn pack<T: Real>(group: &Group<T>, channel: usize, count: usize, to: *mut T) {
    let Sizes { c, p, q, .. } = group.plan.sizes;
    let [ko, kc, kp, kq] = group.k_strides;
    let mut to = to;
    for c in 0..c as isize {
        for t in 0..p as isize {
            for u in 0..q as isize {
                for o in channel as isize..(channel + count) as isize {
                    unsafe {
                        *to = *group.k.offset(o * ko + c * kc + t * kp + u * kq);
                        to = to.add(1);
                    }
                }
            }
        }
    }
}

/// Some rows of `R` channels of an image's result; where it is one channel, four rows at a time.
#[inline(always)]
unsafe fn band<S: Simd, const R: usize>(
    group: &Group<S::T>,
    (n, channel): (usize, usize),
    rows: &Range<usize>,
    image: Image<S::T>,
    weights: *const S::T,
) {
    let plan = group.plan;
    let [on, oo, _, _] = group.out_strides;
    let out = unsafe { group.out.offset(n as isize * on + channel as isize * oo) };
    // More blocks than a list holds are added to the result one by one, in their order.
    let count = plan.sizes.taps();
    let most = if count <= MOST_BLOCKS * DOT_BLOCK { MOST_BLOCKS * DOT_BLOCK } else { DOT_BLOCK };
    let room = count.min(most);
    let cells = space::<Cell>(Use::List, LISTS * room);
    for start in (0..count.max(1)).step_by(most) {
        let taps = start..count.min(start + most);
        let line = Line { taps: &taps, image, weights: weights.wrapping_add(start * R), out };
        for phase in &plan.phases {
            let mut lists: [List; LISTS] = std::array::from_fn(|i| List::new(cells.wrapping_add(i * room)));
            let spread = plan.window.spread[0];
            for first in rows.start..rows.end.min(rows.start + spread) {
                let mut y = first;
                while y < rows.end {
                    unsafe {
                        if const { R > 1 } {
                            columns::<S, R, false>(group, phase, y, &mut lists, &line);
                            y += spread;
                        } else if plan.four[y] && y + 3 * spread < rows.end {
                            columns::<S, 4, true>(group, phase, y, &mut lists, &line);
                            y += 4 * spread;
                        } else {
                            columns::<S, 1, true>(group, phase, y, &mut lists, &line);
                            y += spread;
                        }
                    }
                }
            }
        }
    }
}

/// What the tiles of some channels of an image share.
struct Line<'a, T> {
    taps: &'a Range<usize>,
    image: Image<T>,
    /// Those of the first of the taps.
    weights: *const T,
    /// The first row and column of the first channel's result.
    out: *mut T,
}

/// All columns of row `y`.
#[inline(always)]
unsafe fn columns<S: Simd, const R: usize, const ROWS: bool>(
    group: &Group<S::T>,
    phase: &Phase,
    y: usize,
    lists: &mut [List; LISTS],
    line: &Line<S::T>,
) {
    let way = Way::Sorted([line.image.channel, line.image.row]);
    let (mut m, mut edges) = (0, 0);
    while m < phase.count {
        let vectors = if phase.count - m <= S::WIDTH { 1 } else { VECTORS };
        // The last tile begins earlier rather than be narrow: what two tiles compute is the same. (Where chains are added, only one may.)
        if line.taps.len() == group.plan.sizes.taps() && phase.count >= vectors * S::WIDTH {
            m = m.min(phase.count - vectors * S::WIDTH);
        }
        let inside = phase.inside(m..m + vectors * S::WIDTH);
        let list = &mut lists[if inside { 0 } else { 1 + edges % (LISTS - 1) }];
        edges += usize::from(!inside);
        unsafe {
            list.fill(group.plan, phase, (y, m), vectors * S::WIDTH, line.taps, way);
            if vectors == 1 {
                tile::<S, R, 1, ROWS>(group, phase, (y, m), list, line);
            } else {
                tile::<S, R, VECTORS, ROWS>(group, phase, (y, m), list, line);
            }
        }
        m += vectors * S::WIDTH;
    }
}

/// `R` results by `K` vectors of columns from `m` on. `ROWS`: the results are rows of one channel from `y` on, otherwise channels of row `y`.
#[inline(always)]
unsafe fn tile<S: Simd, const R: usize, const K: usize, const ROWS: bool>(
    group: &Group<S::T>,
    phase: &Phase,
    (y, m): (usize, usize),
    list: &List,
    line: &Line<S::T>,
) {
    let plan = group.plan;
    let side = if ROWS { 1 } else { R };
    let down = plan.window.stride[0] as isize * line.image.row;
    let width = K * S::WIDTH;
    let top = plan.rows[y].first().map_or(0, |&(_, row)| row);
    let corner = line.image.at.wrapping_offset(top as isize * line.image.row + m as isize);
    let next = phase.next * side;
    let mut sum = [[unsafe { S::splat(S::T::ZERO) }; K]; R];
    let mut place = 0;
    for block in 0..line.taps.len().div_ceil(DOT_BLOCK) {
        let mut chain = [[unsafe { S::splat(S::T::ZERO) }; K]; R];
        let end = list.ends[block];
        while place < end {
            unsafe {
                let cell = *list.cells.add(place);
                let (mut x, mut w) = (corner.wrapping_offset(cell.x), line.weights.add(cell.tap as usize * side));
                if ROWS {
                    // Where there are many channels, the rows of the next tile come from far: no row is read through.
                    let next = x.wrapping_offset((R as isize - 1) * down).wrapping_add(width);
                    for v in 0..K {
                        S::ask(next.wrapping_add(v * S::WIDTH));
                    }
                }
                if cell.from == 0 && cell.to as usize == width {
                    for _ in 0..cell.count {
                        add::<S, R, K, ROWS, false>(&mut chain, (0, 0), x, w, down);
                        x = x.wrapping_offset(phase.step);
                        w = w.wrapping_add(next);
                    }
                } else {
                    let lanes = (cell.from as isize, cell.to as isize);
                    add::<S, R, K, ROWS, true>(&mut chain, lanes, x, w, down);
                }
            }
            place += 1;
        }
        for r in 0..R {
            for v in 0..K {
                sum[r][v] = if block == 0 { chain[r][v] } else { unsafe { sum[r][v].add(chain[r][v]) } };
            }
        }
    }
    let [_, oo, oy, ox] = group.out_strides;
    let lane = plan.window.spread[1] as isize * ox;
    let place = Place {
        to: line.out.wrapping_offset(y as isize * oy + phase.first as isize * ox + m as isize * lane),
        result: if ROWS { plan.window.spread[0] as isize * oy } else { oo },
        lane,
        lanes: width.min(phase.count - m),
        first: line.taps.start == 0,
    };
    unsafe { write(sum, place) };
}

/// Adds what a tap gives to the chains of a tile. `x` is what column 0 of the tile meets, `down` the way to the row of the next result, `w` the
/// weights. `EDGE`: only columns `from..to` meet the tap.
#[inline(always)]
unsafe fn add<S: Simd, const R: usize, const K: usize, const ROWS: bool, const EDGE: bool>(
    chain: &mut [[S; K]; R],
    (from, to): (isize, isize),
    x: *const S::T,
    w: *const S::T,
    down: isize,
) {
    unsafe {
        let mut lanes = [S::lanes(0, 0); K];
        if EDGE {
            for v in 0..K {
                let first = (v * S::WIDTH) as isize;
                lanes[v] = S::lanes(from - first, to - first);
            }
        }
        let mut line = [S::splat(S::T::ZERO); K];
        let mut weight = S::splat(*w);
        for r in 0..R {
            if ROWS || r == 0 {
                let x = x.wrapping_offset(r as isize * down);
                for v in 0..K {
                    let x = x.wrapping_add(v * S::WIDTH);
                    line[v] = if EDGE { S::load_lanes(x, lanes[v]) } else { S::load(x) };
                }
            }
            if !ROWS {
                weight = S::splat(*w.add(r));
            }
            for v in 0..K {
                chain[r][v] = if EDGE {
                    line[v].fma_lanes(weight, chain[r][v], lanes[v])
                } else {
                    line[v].fma(weight, chain[r][v])
                };
            }
        }
    }
}
