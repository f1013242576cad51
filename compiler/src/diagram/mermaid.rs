//! A diagram as a flowchart of Mermaid, which GitHub and many editors show.

use super::layout::lines;
use super::{Diagram, Kind, Node};

/// The text of the flowchart; every line ends with a newline.
pub fn mermaid(diagram: &Diagram) -> String {
    let mut text = format!("---\ntitle: {}\n---\nflowchart LR\n", quoted(&diagram.title));
    let outside = diagram.nodes.iter().enumerate().filter(|(_, node)| node.group.is_none());
    outside.for_each(|(i, node)| text += &format!("    {}\n", shape(i, node)));
    for (group, frame) in diagram.groups.iter().enumerate() {
        let title = match frame.note.is_empty() {
            true => frame.title.clone(),
            false => format!("{}; {}", frame.title, frame.note),
        };
        text += &format!("    subgraph g{group} [{}]\n", quoted(&title));
        let inside = diagram.nodes.iter().enumerate().filter(|(_, node)| node.group == Some(group));
        inside.for_each(|(i, node)| text += &format!("        {}\n", shape(i, node)));
        text += "    end\n";
    }
    for edge in &diagram.edges {
        let from_is_named = !matches!(diagram.nodes[edge.from].kind, Kind::Operation | Kind::Sum);
        let name =
            if edge.name.is_empty() || from_is_named { String::new() } else { format!("|{}|", quoted(&edge.name)) };
        let line = if edge.carried { "-.->" } else { "-->" };
        text += &format!("    n{} {line}{name} n{}\n", edge.from, edge.to);
    }
    for (i, entry) in diagram.legend.iter().enumerate() {
        if i == 0 {
            text += "    legend[\"";
        }
        text += &format!("{}{} {}", if i > 0 { "<br/>" } else { "" }, escaped(&entry.name), escaped(&entry.about));
    }
    if !diagram.legend.is_empty() {
        text += "\"]:::legend\n    classDef legend fill:#ffffff,stroke:#ffffff,text-align:left\n";
    }
    text += "    classDef learned fill:#fdeee0,stroke:#b34a00\n    classDef state fill:#e3eff8,stroke:#0072b2\n";
    text
}

fn shape(i: usize, node: &Node) -> String {
    let label: Vec<String> = lines(node).into_iter().map(|(text, _)| escaped(&text)).collect();
    let label = format!("\"{}\"", label.join("<br/>"));
    match node.kind {
        Kind::Input | Kind::Output => format!("n{i}([{label}])"),
        Kind::State => format!("n{i}([{label}]):::state"),
        Kind::Sum => format!("n{i}(({label}))"),
        Kind::Operation if !node.learned.is_empty() => format!("n{i}[{label}]:::learned"),
        Kind::Operation | Kind::More => format!("n{i}[{label}]"),
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", escaped(text))
}

/// Mermaid reads `#name;` as a character.
fn escaped(text: &str) -> String {
    let mut result = String::new();
    for c in text.chars() {
        match c {
            '#' => result += "#35;",
            '"' => result += "#quot;",
            '<' => result += "#lt;",
            '>' => result += "#gt;",
            '\n' => result.push(' '),
            c => result.push(c),
        }
    }
    result
}
