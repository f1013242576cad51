//! Where values lie on an axis, and where its ticks are.

use crate::math::scalar::log_f64;
use crate::table::format_number;

/// A range of values. On a logarithmic axis all that is computed is in decades.
pub(super) struct Axis {
    low: f64,
    high: f64,
    logarithmic: bool,
    /// Ticks are whole numbers.
    whole: bool,
}

/// A line of the grid; those without a label are fainter.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Tick {
    pub value: f64,
    pub label: String,
}

/// True if the axis can show the value.
pub(super) fn drawable(value: f64, logarithmic: bool) -> bool {
    value.is_finite() && (!logarithmic || value > 0.0)
}

/// The decimal logarithm of a positive number, exact for powers of ten.
fn decades(value: f64) -> f64 {
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').expect("the format has an exponent");
    let (digits, exponent): (f64, f64) = (digits.parse().expect("a number"), exponent.parse().expect("a number"));
    exponent + log_f64(digits) / std::f64::consts::LN_10
}

/// `10^exponent`, correctly rounded.
fn power_of_ten(exponent: i32) -> f64 {
    format!("1e{exponent}").parse().expect("a number")
}

/// The exponent of a positive number in scientific notation.
fn exponent_of(value: f64) -> i32 {
    let text = format!("{value:e}");
    text.split_once('e').and_then(|(_, e)| e.parse().ok()).expect("the format has an exponent")
}

impl Axis {
    /// An axis for values that are drawable, of which there is at least one; `margin` is the part of the range left
    /// free at its start and at its end.
    pub fn new(values: impl Iterator<Item = f64>, logarithmic: bool, margin: (f64, f64)) -> Axis {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values {
            let value = if logarithmic { decades(value) } else { value };
            low = low.min(value);
            high = high.max(value);
        }
        // A range too narrow for its numbers is widened, so that ticks differ.
        let size = low.abs().max(high.abs());
        let least = if logarithmic { 0.2 } else { (size * 1e-9).max(f64::MIN_POSITIVE * 1e20) };
        if high / 2.0 - low / 2.0 < least / 2.0 {
            let half = if logarithmic {
                0.5
            } else if size == 0.0 {
                1.0
            } else {
                (size * 0.1).max(least)
            };
            (low, high) = (low - half, high + half);
        }
        // Halved first, so that the range of the largest floats does not overflow.
        let pad = |margin: f64| (high / 2.0 - low / 2.0) * (2.0 * margin);
        let (low, high) = ((low - pad(margin.0)).max(f64::MIN), (high + pad(margin.1)).min(f64::MAX));
        Axis { low, high, logarithmic, whole: false }
    }

    /// The same axis with ticks at whole numbers only.
    pub fn of_whole_numbers(self) -> Axis {
        Axis { whole: true, ..self }
    }

    /// The place of a drawable value: 0 at the axis's start, 1 at its end.
    pub fn position(&self, value: f64) -> f64 {
        let value = if self.logarithmic { decades(value) } else { value };
        ((value / 2.0 - self.low / 2.0) / (self.high / 2.0 - self.low / 2.0)).clamp(0.0, 1.0)
    }

    /// Some four to eight labelled ticks, and on a logarithmic axis the multiples of powers of ten.
    pub fn ticks(&self) -> Vec<Tick> {
        if self.logarithmic { self.logarithmic_ticks() } else { self.linear_ticks() }
    }

    fn linear_ticks(&self) -> Vec<Tick> {
        // The step 1, 2 or 5 times a power of ten that gives at most seven ticks.
        let span = self.high / 2.0 - self.low / 2.0;
        let first = exponent_of(span) - 2;
        let most = if self.whole { first.max(-1) + 4 } else { first + 4 };
        let (unit, exponent) = (first..most)
            .flat_map(|e| [(1, e), (2, e), (5, e)])
            .find(|&(unit, e)| span / power_of_ten(e) / f64::from(unit) <= 3.5 && (e >= 0 || !self.whole))
            .expect("a larger step fits");
        let step = f64::from(unit) * power_of_ten(exponent);
        let (from, to) = ((self.low / step).ceil(), (self.high / step).floor());
        let mut ticks = Vec::new();
        let mut count = from;
        // Counts are whole numbers below 2^53, since the range is not too narrow.
        while count <= to && ticks.len() < 16 {
            // A product of decimals is rounded; its text would be too long.
            let value = if exponent < 0 { count * f64::from(unit) / power_of_ten(-exponent) } else { count * step };
            let value = if value.is_finite() { value } else { count * step };
            ticks.push(Tick { value, label: linear_label(value, exponent, self.low.abs().max(self.high.abs())) });
            count += 1.0;
        }
        ticks
    }

    fn logarithmic_ticks(&self) -> Vec<Tick> {
        let (from, to) = (self.low.ceil() as i32, self.high.floor() as i32);
        let whole = to - from + 1;
        let every = if whole > 0 { (whole - 1) / 8 + 1 } else { 1 };
        let mut ticks = Vec::new();
        for exponent in from - 1..=to {
            let power = power_of_ten(exponent);
            let labelled = exponent.rem_euclid(every) == 0;
            // Between far labels only as many lines as can be told apart.
            if exponent >= from && drawable(power, true) && (labelled || whole <= 32) {
                let label = if labelled { power_label(exponent) } else { String::new() };
                ticks.push(Tick { value: power, label });
            }
            if every > 1 {
                continue;
            }
            for digit in 2..10 {
                let value = format!("{digit}e{exponent}").parse::<f64>().expect("a number");
                if !drawable(value, true) || !(self.low..=self.high).contains(&decades(value)) {
                    continue;
                }
                // Where there are few powers of ten, the others are named too.
                let label = if whole < 2 || (whole < 3 && matches!(digit, 2 | 5)) {
                    format_number(value)
                } else {
                    String::new()
                };
                ticks.push(Tick { value, label });
            }
        }
        ticks
    }
}

/// The text of a tick with as many decimals as the step has; very large and small ones in powers of ten.
fn linear_label(value: f64, step_exponent: i32, largest: f64) -> String {
    if value == 0.0 {
        return "0".into();
    }
    if (-4..6).contains(&exponent_of(largest)) {
        return with_minus(&format!("{value:.*}", (-step_exponent).clamp(0, 15) as usize));
    }
    let exponent = exponent_of(largest);
    let decimals = (exponent - step_exponent).clamp(0, 15) as usize;
    // Scaled through its text, which is exact.
    let scientific = format!("{value:.*e}", (exponent_of(value.abs()) - step_exponent).clamp(0, 15) as usize);
    let (digits, own) = scientific.split_once('e').expect("the format has an exponent");
    let own: i32 = own.parse().expect("the exponent is a number");
    let factor: f64 = format!("{digits}e{}", own - exponent).parse().expect("a number");
    with_minus(&format!("{factor:.decimals$}×{}", power_label(exponent)))
}

/// `10` with a raised exponent.
fn power_label(exponent: i32) -> String {
    let raised = |c: char| match c {
        '-' => '⁻',
        '0' => '⁰',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        '4' => '⁴',
        '5' => '⁵',
        '6' => '⁶',
        '7' => '⁷',
        '8' => '⁸',
        _ => '⁹',
    };
    format!("10{}", exponent.to_string().chars().map(raised).collect::<String>())
}

/// A true minus sign instead of a hyphen.
fn with_minus(text: &str) -> String {
    text.replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(values: &[f64], logarithmic: bool) -> Vec<String> {
        let axis = Axis::new(values.iter().copied(), logarithmic, (0.0, 0.0));
        axis.ticks().into_iter().map(|t| t.label).filter(|l| !l.is_empty()).collect()
    }

    #[test]
    fn ticks_are_round_numbers() {
        assert_eq!(labels(&[0.0, 1.0], false), ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(labels(&[-3.0, 12.0], false), ["0", "5", "10"]);
        assert_eq!(labels(&[0.0, 1e-7], false), ["0", "0.2×10⁻⁷", "0.4×10⁻⁷", "0.6×10⁻⁷", "0.8×10⁻⁷", "1.0×10⁻⁷"]);
        assert_eq!(labels(&[-2e8, 0.0], false), ["−2.0×10⁸", "−1.5×10⁸", "−1.0×10⁸", "−0.5×10⁸", "0"]);
        assert_eq!(labels(&[1e-3, 1.0], true), ["10⁻³", "10⁻²", "10⁻¹", "10⁰"]);
        assert_eq!(labels(&[3.0, 9.0], true), ["3", "4", "5", "6", "7", "8", "9"]);
    }

    #[test]
    fn steps_have_whole_ticks() {
        let whole = |values: &[f64]| {
            let axis = Axis::new(values.iter().copied(), false, (0.0, 0.0)).of_whole_numbers();
            axis.ticks().into_iter().map(|t| t.label).collect::<Vec<_>>()
        };
        assert_eq!(whole(&[1.0, 3.0]), ["1", "2", "3"]);
        assert_eq!(whole(&[1.0]), ["1"]);
        assert_eq!(whole(&[1.0, 60.0]), ["10", "20", "30", "40", "50", "60"]);
    }

    #[test]
    fn any_range_has_ticks_within_it() {
        let extremes = [0.0, 5e-324, 1e-300, 1e-10, 1.0, 1.0 + 1e-15, 123_456.789, 1e16, 1e16 + 2.0, 1e300, f64::MAX];
        for a in extremes {
            for b in extremes.into_iter().chain(extremes.map(|v| -v)) {
                for logarithmic in [false, true] {
                    if logarithmic && !(drawable(a, true) && drawable(b, true)) {
                        continue;
                    }
                    let axis = Axis::new([a, b].into_iter(), logarithmic, (0.04, 0.04));
                    let ticks = axis.ticks();
                    assert!(ticks.len() < 60, "{} ticks for {a:e} to {b:e}", ticks.len());
                    let named = ticks.iter().filter(|t| !t.label.is_empty()).count();
                    assert!(named >= 1, "{a:e} to {b:e}, {logarithmic}: {ticks:?}");
                    for value in [a, b] {
                        assert!((0.0..=1.0).contains(&axis.position(value)), "{value:e} in {a:e} to {b:e}");
                    }
                }
            }
        }
    }
}
