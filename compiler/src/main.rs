//! temporary
use dp_compiler::*;
use std::rc::Rc;
struct Out(Option<Rc<source::SourceMap>>);
impl script::Output for Out {
    fn line(&mut self, t: &str) { println!("{t}"); }
    fn message(&mut self, m: &run::Message) { match m { run::Message::Warning(d) => eprintln!("{}", diagnostic::render::render(self.0.as_ref().unwrap(), d, false)), run::Message::Dump(t) => eprintln!("{t}") } }
    fn draws_progress(&self) -> bool { true }
}
impl driver::Sink for Out { fn sources(&mut self, s: Rc<source::SourceMap>) { self.0 = Some(s); } }
fn main() {
    std::thread::Builder::new().stack_size(1 << 30).spawn(|| {
        dp_runtime::interrupt::install();
        let a: Vec<String> = std::env::args().collect();
        let mut o = driver::Options::default();
        let mut i = 2;
        while i < a.len() {
            if a[i] == "--ref" { o.engine = run::Engine::Reference; i += 1; }
            else if a[i] == "--resume" { o.resume = true; i += 1; }
            else if a[i] == "--dump" { o.dump = Some(a[i+1].clone()); i += 2; }
            else { o.args.push((a[i].trim_start_matches("--").to_string(), a[i+1].clone())); i += 2; }
        }
        o.allow.push("/work/shared/data".into());
        let mut out = Out(None);
        let r = driver::run_file(std::path::Path::new(&a[1]), &o, &mut out);
        for d in &r.diagnostics { eprintln!("{}", diagnostic::render::render(&r.sources, d, false)); }
        eprintln!("{:?}", r.timings);
    }).unwrap().join().unwrap();
}
