//! Numbers as colours, and numbers as greys.

/// Red, green, blue.
pub type Rgb = [u8; 3];

/// From dark blue over green to yellow, of even steps in lightness: also readable in print and by colour-blind readers.
/// Nine samples of the map of Smith and van der Walt, 2015 (viridis).
const SEQUENTIAL: [Rgb; 9] = [
    [68, 1, 84],
    [72, 40, 120],
    [62, 74, 137],
    [49, 104, 142],
    [38, 130, 142],
    [31, 158, 137],
    [53, 183, 121],
    [110, 206, 88],
    [253, 231, 37],
];

/// From blue over white to red, for numbers of both signs. After Brewer's scheme RdBu.
const DIVERGING: [Rgb; 7] =
    [[33, 102, 172], [103, 169, 207], [209, 229, 240], [247, 247, 247], [253, 219, 199], [239, 138, 98], [178, 24, 43]];

/// What is neither.
pub const MISSING: Rgb = [220, 220, 220];

/// How numbers become colours.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Scale {
    pub low: f64,
    pub high: f64,
    pub(super) map: Map,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Map {
    Sequential,
    Diverging,
    Grey,
}

impl Scale {
    /// For a map of numbers: from the least to the greatest; with zero in the middle if there are numbers of both signs.
    pub fn of(values: &[f64]) -> Scale {
        let (low, high) = range(values);
        if low < 0.0 && high > 0.0 {
            let most = high.max(-low);
            return Scale { low: -most, high: most, map: Map::Diverging };
        }
        Scale { low, high, map: Map::Sequential }
    }

    /// For images: black is 0 and white 1 if all numbers are in between; else black is the least and white the greatest.
    pub fn grey(values: &[f64]) -> Scale {
        let (low, high) = range(values);
        let (low, high) = if low >= 0.0 && high <= 1.0 { (0.0, 1.0) } else { (low, high) };
        Scale { low, high, map: Map::Grey }
    }

    /// Where a number stands from 0 to 1; NaN stays.
    pub fn position(&self, value: f64) -> f64 {
        let span = self.high / 2.0 - self.low / 2.0;
        if span <= 0.0 { 0.5 } else { ((value / 2.0 - self.low / 2.0) / span).clamp(0.0, 1.0) }
    }

    pub fn colour(&self, value: f64) -> Rgb {
        if value.is_nan() {
            return MISSING;
        }
        let at = self.position(value);
        match self.map {
            Map::Sequential => between(&SEQUENTIAL, at),
            Map::Diverging => between(&DIVERGING, at),
            Map::Grey => [(at * 255.0).round() as u8; 3],
        }
    }
}

/// The colour of a member of a family of curves, from 0 to 1. The brightest yellow is left out: it cannot be seen on white.
pub fn family(at: f64) -> Rgb {
    between(&SEQUENTIAL, 0.92 * at)
}

/// The least and greatest finite numbers; 0 and 1 if there are none.
pub fn range(values: &[f64]) -> (f64, f64) {
    let finite = values.iter().copied().filter(|v| v.is_finite());
    let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    if low <= high { (low, high) } else { (0.0, 1.0) }
}

/// The colour at a place from 0 to 1 between evenly spaced ones.
fn between(samples: &[Rgb], at: f64) -> Rgb {
    let place = at * (samples.len() - 1) as f64;
    let i = (place as usize).min(samples.len() - 2);
    let part = place - i as f64;
    std::array::from_fn(|c| {
        let (a, b) = (f64::from(samples[i][c]), f64::from(samples[i + 1][c]));
        (a + part * (b - a)).round() as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_white_between_signs_and_ends_are_ends() {
        let scale = Scale::of(&[-1.0, 3.0, f64::NAN]);
        assert_eq!(scale.colour(0.0), [247, 247, 247]);
        assert_eq!((scale.colour(3.0), scale.colour(99.0)), ([178, 24, 43], [178, 24, 43]));
        assert_eq!(scale.colour(f64::NAN), MISSING);
        let scale = Scale::of(&[2.0, 4.0]);
        assert_eq!((scale.colour(2.0), scale.colour(4.0)), (SEQUENTIAL[0], SEQUENTIAL[8]));
        assert_eq!(Scale::grey(&[0.25, 0.5]).colour(0.5), [128; 3]);
        assert_eq!(Scale::grey(&[-1.0, 1.0]).colour(-1.0), [0; 3]);
        // One number alone, or none that is finite.
        assert_eq!(Scale::of(&[5.0]).position(5.0), 0.5);
        assert_eq!(Scale::of(&[f64::INFINITY]).low, 0.0);
    }
}
