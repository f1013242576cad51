//! Plots: what is drawn, and odd input.

use dp_runtime::plot::gallery::{self, Gallery};
use dp_runtime::plot::heatmap::{self, Heatmap};
use dp_runtime::plot::terminal::{self, Room};
use dp_runtime::plot::{Curve, Mark, Plot, number_of_bins, raster, svg};

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

#[test]
fn a_histogram_counts_every_finite_number_once() {
    let values = [0.0, 0.1, 0.5, 0.99, 1.0, f64::NAN, 2.0, -1.0];
    let bars = Curve::histogram("h", &values, (0.0, 1.0), 4);
    assert_eq!((bars.x.len(), bars.y.clone()), (5, vec![2.0, 0.0, 1.0, 2.0]));
    let text = svg(&Plot { curves: vec![bars.clone()], ..Plot::default() }).expect("drawable");
    assert_eq!(text.matches("fill=\"#0072B2\"").count(), 4, "the bars that are not empty, and the legend: {text}");
    assert!(svg(&Plot { curves: vec![Curve { y: vec![1.0; 5], ..bars }], ..Plot::default() }).is_err());
    let many: Vec<f64> = (0..1000).map(f64::from).collect();
    assert_eq!(number_of_bins(&many), 10);
    assert_eq!((number_of_bins(&[]), number_of_bins(&[1.0, 1.0])), (5, 20));
}

#[test]
fn a_family_of_curves_has_a_range_of_colours_and_a_short_legend() {
    let curves: Vec<Curve> = (1..=16).map(|k| Curve::of(&format!("layer {k}"), vec![f64::from(k), 0.0])).collect();
    let text = svg(&Plot { curves, ..Plot::default() }).expect("drawable");
    assert_eq!(text.matches("layer ").count(), 5);
    assert!(text.contains("layer 1\n") && text.contains("layer 16\n"), "the first and the last: {text}");
}

#[test]
fn maps_show_their_cells_and_range() {
    let map = Heatmap {
        title: "weights".into(),
        rows: 2,
        columns: 3,
        values: vec![-1.0, 0.0, 1.0, f64::NAN, 0.5, -0.5],
        ..Heatmap::default()
    };
    let text = heatmap::svg(&map).expect("drawable");
    assert_eq!(text.matches("<image").count(), 2, "the cells and the bar");
    assert!(text.contains("weights") && text.contains("data:image/png;base64,"));
    assert_eq!(heatmap::svg(&map).expect("drawable"), text);
    for wrong in [
        Heatmap { rows: 0, columns: 3, values: vec![], ..map.clone() },
        Heatmap { rows: 2, columns: 2, ..map.clone() },
        Heatmap { values: vec![f64::NAN; 6], ..map.clone() },
    ] {
        assert!(heatmap::svg(&wrong).is_err());
    }
    let shown = terminal::heatmap(&map, Room::default()).expect("drawable");
    assert!(shown.contains("2 by 3, from -1 to 1"), "{shown}");
}

#[test]
fn galleries_lay_images_out_in_rows() {
    let values: Vec<f64> = (0..6 * 4 * 4).map(|i| f64::from(i % 16) / 15.0).collect();
    let six = Gallery { labels: vec!["first".into()], columns: 3, ..Gallery::of(&values, (4, 4), 1, false) };
    assert_eq!((six.images.len(), six.images[0][15], six.images[0][0]), (6, [255; 3], [0; 3]));
    let text = gallery::svg(&six).expect("drawable");
    assert_eq!(text.matches("<image").count(), 6);
    assert!(text.contains("first"));
    // Colours: planes one after another.
    let colour = Gallery::of(&[1.0, 0.0, 0.5], (1, 1), 3, false);
    assert_eq!(colour.images, vec![vec![[255, 0, 128]]]);
    // Each with its own scale.
    let own = Gallery::of(&[5.0, 6.0, 7.0, 9.0], (1, 2), 1, true);
    assert_eq!(own.images, vec![vec![[0; 3], [255; 3]]; 2]);
    assert!(gallery::svg(&Gallery::default()).is_err());
    // Black, white, the white between images, black, white.
    assert_eq!(terminal::gallery(&own, Room::default()).expect("drawable"), " ██ █\n");
}

#[test]
fn png_pictures_have_text_without_fonts_of_the_system() {
    let with = raster::png(&svg(&example()).expect("drawable")).expect("drawable");
    assert!(with.starts_with(b"\x89PNG"));
    let tensor = dp_runtime::io::png::decode(&with).expect("a picture");
    assert_eq!(tensor.shape(), [3, 840, 1280]);
    // The title leaves dark pixels in the strip above the axes.
    let dark = |picture: &[u8]| {
        let tensor = dp_runtime::io::png::decode(picture).expect("a picture");
        tensor.to_f64_vec()[..1280 * 30].iter().filter(|v| **v < 0.5).count()
    };
    let without = raster::png(&svg(&Plot { title: String::new(), ..example() }).expect("drawable")).expect("drawable");
    assert!(dark(&with) > 200 && dark(&without) < 20, "{} {}", dark(&with), dark(&without));
    assert!(raster::png("no drawing").is_err());
}

#[test]
fn plots_in_text_have_axes_curves_and_a_legend() {
    let text = terminal::plot(&example(), Room::default()).expect("drawable");
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines.iter().all(|l| l.chars().count() <= 74), "{text}");
    for part in ["Convergence", "10⁻³ ┤", "└──", "a ISTA   b LISTA   c measured", "iteration"] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
    assert!(text.chars().any(|c| ('\u{2801}'..='\u{28ff}').contains(&c)));
    let coloured = terminal::plot(&example(), Room { colour: true, ..Room::default() }).expect("drawable");
    assert!(coloured.contains("\u{1b}[38;2;0;114;178m"));
    // A falling line begins in the first row.
    let fall = Plot { curves: vec![Curve::of("", (0..100).map(|i| -f64::from(i)).collect())], ..Plot::default() };
    let text = terminal::plot(&fall, Room { columns: 40, rows: 8, colour: false }).expect("drawable");
    assert!(text.lines().next().is_some_and(|l| l.chars().any(|c| ('\u{2801}'..='\u{28ff}').contains(&c))), "{text}");
}
