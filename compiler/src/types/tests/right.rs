//! Right programs.
#[test]
fn tmp_std() {
    let Ok(files) = std::env::var("DP_TMP") else { return };
    let mut sources = crate::source::SourceMap::default();
    let mut env = super::Env::new();
    for f in files.split(' ') {
        let text = std::fs::read_to_string(f).unwrap();
        let d = super::check_in(&mut env, &mut sources, f, &text);
        println!("{f}: {}", super::show(&sources, &d));
    }
    for name in ["adam", "conv2", "glorot", "svt", "unit", "psnr"] { println!("{name}: {:?}", env.type_of_name(name)); }
}
