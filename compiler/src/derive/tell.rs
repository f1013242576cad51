//! An explanation as text: the user's source with labels, then the method, the step, the update, the layer, what is learned.

use super::Explanation;
use crate::diagnostic::Diagnostic;
use crate::diagnostic::render::render_found;
use crate::source::SourceMap;

/// Lines under one heading, which stands before the first.
struct Page(String);

impl Page {
    fn add<T: AsRef<str>>(&mut self, heading: &str, lines: impl IntoIterator<Item = T>) {
        for (i, line) in lines.into_iter().enumerate() {
            self.0 += &format!("{:8} {}\n", if i == 0 { heading } else { "" }, line.as_ref());
        }
    }
}

impl Explanation {
    /// The whole story.
    pub fn render(&self, sources: &SourceMap, color: bool) -> String {
        let mut labels = self.labels.iter();
        let mut page = Page(String::new());
        if let Some((span, first)) = labels.next() {
            let message = format!("the terms of `{}`", self.problem);
            let found = Diagnostic::warning("E0347", *span, message).here(first);
            let found = labels.fold(found, |found, (span, label)| found.label(*span, label));
            page.0 += &render_found(sources, &found, "derive", color);
        }
        page.0 += "\n";
        page.add("method", std::iter::once(format!("{}: {}", self.method, self.reason)).chain(self.roles.clone()));
        page.add("step", &self.steps);
        page.add("lets", self.lets.iter().map(|(name, value)| format!("{name} = {value}")));
        page.add("update", &self.template);
        let becomes = self.update.iter().enumerate();
        page.add("", becomes.map(|(i, line)| format!("{} {line}", if i == 0 { "becomes" } else { "       " })));
        for layer in &self.layers {
            let list = |pairs: &[(String, String)]| {
                pairs.iter().map(|(name, shape)| format!("{name}: {shape}")).collect::<Vec<_>>().join(", ")
            };
            let mut lines = vec![
                layer.before.clone(),
                format!("becomes {}", layer.after),
                format!("takes {} and gives {}", list(&layer.takes), list(std::slice::from_ref(&layer.gives))),
            ];
            lines.extend(layer.lets.iter().map(|(name, value, shape)| format!("{name}: {shape} = {value}")));
            page.add("layer", lines);
        }
        let width = self.learned.quantities.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        page.add("learn", self.learned.quantities.iter().map(|(name, text)| format!("{name:width$}  {text}")));
        if let Some((names, size)) = &self.learned.count {
            let tied = format!("{}: {size}, shared by all layers", names.join(", "));
            let each: Vec<String> = names.iter().map(|name| format!("each {name}")).collect();
            let size = size.to_string();
            let times = if size.contains(' ') { format!("K * ({size})") } else { format!("K * {size}") };
            page.add("numbers", [tied, format!("{}: {times} in K layers", each.join(", "))]);
        }
        page.add("tried", &self.tried);
        self.notes.iter().for_each(|note| page.add("note", [note]));
        page.0
    }
}
