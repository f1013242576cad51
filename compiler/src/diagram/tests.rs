//! Pictures of real programs: their flowcharts are kept in `tests/graphs` (`UPDATE=1` writes them anew), and every form of every
//! picture is looked at for what must be in it.

use super::layout::{Layout, Rect, layout};
use super::{Diagram, Kind, Layers, Options, mermaid, svg, text};
use crate::driver::graph::graph_file;
use std::path::{Path, PathBuf};

const PICTURES: &[(&str, &str, &str, Layers)] = &[
    ("lista", "examples/lista.dp", "lista", Layers::One),
    ("lista-ends", "examples/lista.dp", "lista", Layers::Ends),
    ("fista", "examples/lista.dp", "fista", Layers::One),
    ("relu-layer", "examples/relu_layer.dp", "encoder", Layers::One),
    ("relu-layer-all", "examples/relu_layer.dp", "encoder", Layers::All),
    ("digits", "examples/digits.dp", "classify", Layers::One),
    ("digits-inner", "examples/digits.dp", "classify.inner", Layers::One),
    ("dense", "examples/digits.dp", "dense", Layers::One),
    ("residual", "examples/residual.dp", "residual_network", Layers::One),
    ("rpca", "tests/graphs/rpca.dp", "pursuit", Layers::One),
    ("rpca-network", "tests/graphs/rpca.dp", "separate", Layers::One),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository").to_path_buf()
}

/// On a stack as large as that of `dp`.
fn deep<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    std::thread::Builder::new().stack_size(256 << 20).spawn(work).expect("a thread starts").join().expect("no panic")
}

fn drawn(file: &str, name: &str, layers: Layers, inputs: &[&str]) -> Result<Diagram, String> {
    let path = root().join(file);
    let inputs = inputs.iter().map(|name| (*name).to_string()).collect();
    graph_file(&path, name, &Options { layers, inputs }).map_err(|outcome| {
        let told = |d: &crate::diagnostic::Diagnostic| format!("{} {} {:?}", d.code.0, d.message, d.notes);
        outcome.diagnostics.iter().map(told).collect()
    })
}

fn overlap(a: &Rect, b: &Rect) -> bool {
    a.x < b.right() && b.x < a.right() && a.y < b.bottom() && b.y < a.bottom()
}

/// No boxes overlap; what belongs to a frame lies in it, and nothing else does.
fn check_layout(name: &str, diagram: &Diagram, found: &Layout) {
    for (i, a) in found.boxes.iter().enumerate() {
        for (j, b) in found.boxes.iter().enumerate().skip(i + 1) {
            assert!(!overlap(a, b), "{name}: {} and {}", diagram.nodes[i].label, diagram.nodes[j].label);
        }
        for (group, frame) in found.frames.iter().enumerate() {
            let inside = a.x >= frame.x && a.y >= frame.y && a.right() <= frame.right() && a.bottom() <= frame.bottom();
            let own = diagram.nodes[i].group == Some(group);
            let label = &diagram.nodes[i].label;
            assert!(if own { inside } else { !overlap(a, frame) }, "{name}: {label} and frame {group}");
        }
    }
}

#[test]
fn pictures_are_as_they_were() {
    deep(|| {
        for (name, file, subject, layers) in PICTURES {
            let diagram = drawn(file, subject, *layers, &[]).unwrap_or_else(|problem| panic!("{name}: {problem}"));
            let path = root().join(format!("tests/graphs/{name}.mmd"));
            let found = mermaid(&diagram);
            if std::env::var_os("UPDATE").is_some() {
                std::fs::write(&path, &found).expect("the folder can be written");
            }
            let wanted = std::fs::read_to_string(&path).unwrap_or_default();
            assert_eq!(found, wanted, "{name}: UPDATE=1 writes {}", path.display());

            check_layout(name, &diagram, &layout(&diagram, svg::METRICS));
            let drawing = svg(&diagram);
            dp_runtime::plot::raster::png(&drawing).unwrap_or_else(|problem| panic!("{name}: {problem}"));
            let shown = text(&diagram);
            for node in &diagram.nodes {
                let escaped = node.label.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
                assert!(drawing.contains(&escaped), "{name}: {} is not in the drawing", node.label);
                assert!(shown.contains(&node.label), "{name}: {} is not in\n{shown}", node.label);
            }
        }
    });
}

#[test]
fn lista_is_drawn_as_in_its_paper() {
    deep(|| {
        let diagram = drawn("examples/lista.dp", "lista", Layers::One, &[]).expect("it is drawn");
        let node = |label: &str| {
            diagram.nodes.iter().position(|node| node.label == label).unwrap_or_else(|| panic!("no {label}"))
        };
        let joined = |from: &str, to: &str, carried: bool| {
            let (from, to) = (node(from), node(to));
            diagram.edges.iter().any(|edge| (edge.from, edge.to, edge.carried) == (from, to, carried))
        };
        // Y+ = N(L1(X) + L2(Y)).
        assert!(joined("x", "W @ x", false) && joined("W @ x", "+", false) && joined("S @ y", "+", false));
        assert!(joined("+", "soft(·, theta[k])", false) && joined("soft(·, theta[k])", "y", true));
        let threshold = &diagram.nodes[node("soft(·, theta[k])")];
        assert_eq!((threshold.shape.as_str(), threshold.learned[0].each), ("[256]", true));
        assert!(!diagram.nodes[node("W @ x")].learned[0].each);
        assert_eq!(diagram.groups[0].title, "16 layers, k = 0 .. 15");
        let told = |name: &str| diagram.legend.iter().find(|entry| entry.name == name).map(|entry| entry.about.clone());
        assert_eq!(told("W").as_deref(), Some("[256, 64], shared by all layers, 16 384 numbers, starts at t * D'"));
        assert!(
            told("theta").is_some_and(|about| about.starts_with("[16], one for each layer, 16 numbers")),
            "{:?}",
            told("theta")
        );
        // Unrolled: an input for each layer, and no arrow back.
        let all = drawn("examples/lista.dp", "lista", Layers::All, &[]).expect("it is drawn");
        assert_eq!(all.nodes.iter().filter(|node| node.label == "W @ x").count(), 16);
        assert!(
            all.nodes.iter().any(|node| node.label == "soft(·, theta[15])")
                && all.edges.iter().all(|edge| !edge.carried)
        );
        let ends = drawn("examples/lista.dp", "lista", Layers::Ends, &[]).expect("it is drawn");
        assert_eq!(ends.nodes.iter().filter(|node| node.kind == Kind::More).count(), 1);
        assert!(ends.groups.iter().any(|group| group.title == "layer 16"));
        // Other inputs than the open argument.
        let own = drawn("examples/lista.dp", "ista", Layers::One, &["x", "D"]).expect("it is drawn");
        assert_eq!(own.nodes.iter().filter(|node| node.kind == Kind::Input).count(), 2);
    });
}

#[test]
fn what_cannot_be_drawn_is_told() {
    deep(|| {
        let code = |name: &str, inputs: &[&str]| match drawn("examples/digits.dp", name, Layers::One, inputs) {
            Ok(_) => "drawn".to_string(),
            Err(problem) => problem,
        };
        assert!(code("clasify", &[]).contains("E0301"), "{}", code("clasify", &[]));
        assert!(code("steps_in_all", &[]).starts_with("E0360"));
        assert!(code("X", &[]).starts_with("E0360"));
        assert!(code("classify.middle", &[]).contains("`inner`, `outer`"));
        assert!(code("classify", &["y"]).starts_with("E0362"));
        let problem = drawn("examples/lista.dp", "sparse_code", Layers::One, &[]).expect_err("a problem has no steps");
        assert!(problem.starts_with("E0360"), "{problem}");
    });
}
