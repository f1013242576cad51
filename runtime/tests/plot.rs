//! Plots: what is drawn, and odd input.

use dp_runtime::plot::{Curve, Mark, Plot, svg};

fn example() -> Plot {
    let ista = (0..100).map(|k| 0.95f64.powi(k)).collect();
    let lista = (0..16).map(|k| 0.4f64.powi(k)).collect();
    let mut measured = Curve {
        mark: Mark::Points,
        ..Curve::of("measured <&>", (0..20).map(|k| 0.8f64.powi(k) * (1.0 + 0.1 * f64::from(k % 3))).collect())
    };
    measured.x = (0..20).map(|k| f64::from(k) * 5.0 + 1.0).collect();
    Plot {
        title: "Convergence".into(),
        x_label: "iteration".into(),
        y_label: "objective − optimum".into(),
        log_y: true,
        curves: vec![
            Curve::of("ISTA", ista),
            Curve { mark: Mark::LineAndPoints, ..Curve::of("LISTA", lista) },
            measured,
        ],
        ..Plot::default()
    }
}

#[test]
fn a_plot_holds_its_texts_and_curves() {
    let text = svg(&example()).expect("drawable");
    if let Ok(path) = std::env::var("DP_PLOT_FILE") {
        std::fs::write(path, &text).expect("writable");
    }
    for part in [
        "Convergence",
        "iteration",
        "objective − optimum",
        "ISTA",
        "LISTA",
        "measured &lt;&amp;&gt;",
        "10⁻³",
        "#0072B2",
        "#D55E00",
    ] {
        assert!(text.contains(part), "{part} is missing");
    }
    assert!(text.contains("width=\"640\" height=\"420\""));
    assert_eq!(svg(&example()).expect("drawable"), text, "the same bytes again");
    assert_eq!(text.matches("<circle").count(), 16 + 20 + 2);
}

#[test]
fn gaps_and_single_points() {
    let y = vec![1.0, 2.0, f64::NAN, 3.0, f64::INFINITY, 1.0, 2.0];
    let text = svg(&Plot { curves: vec![Curve::of("", y)], ..Plot::default() }).expect("drawable");
    assert_eq!(text.matches("stroke=\"#0072B2\"").count(), 2, "two pieces of line");
    assert_eq!(text.matches("<circle").count(), 1, "the point between gaps");
    let alone = Plot { curves: vec![Curve::of("one", vec![5.0])], log_y: true, log_x: true, ..Plot::default() };
    assert!(svg(&alone).expect("drawable").contains("<circle"));
}

#[test]
fn a_long_curve_is_thinned() {
    let y: Vec<f64> = (0..1_000_000i64).map(|i| (i * 7919 % 10_007) as f64).collect();
    let text = svg(&Plot { curves: vec![Curve::of("long", y)], ..Plot::default() }).expect("drawable");
    assert!(text.len() < 200_000, "{} bytes", text.len());
}

#[test]
fn nothing_to_plot_is_an_error() {
    assert!(svg(&Plot::default()).expect_err("no curves").contains("no finite point"));
    let below = Plot { curves: vec![Curve::of("", vec![-1.0, 0.0])], log_y: true, ..Plot::default() };
    assert!(svg(&below).expect_err("not positive").contains("positive"));
    let uneven = Curve { label: "a".into(), x: vec![1.0], y: vec![], mark: Mark::Line };
    assert_eq!(
        svg(&Plot { curves: vec![uneven], ..Plot::default() }).expect_err("uneven"),
        "curve `a` has 1 x values and 0 y values"
    );
}

#[test]
fn any_numbers_and_texts_can_be_plotted() {
    let odd = [0.0, -0.0, 5e-324, 1e-300, 1.0, 1.0 + 1e-15, 1e16, 1e300, f64::MAX, f64::MIN, f64::NAN, f64::INFINITY];
    for a in odd {
        for b in odd {
            for (log_x, log_y) in [(false, false), (true, false), (false, true), (true, true)] {
                let curve = Curve {
                    label: "\0\u{ffff}\"<".repeat(30),
                    x: vec![a, b],
                    y: vec![b, a],
                    mark: Mark::LineAndPoints,
                };
                if let Ok(text) =
                    svg(&Plot { curves: vec![curve; 12], log_x, log_y, title: "t".repeat(500), ..Plot::default() })
                {
                    assert!(text.ends_with("</svg>\n") && !text.contains("NaN"));
                }
            }
        }
    }
}
