//! Pictures among the lines of a terminal that can show them: the graphics protocol of kitty, the inline images of iTerm2, sixel.

use super::raster;
use base64::Engine;
use std::collections::HashMap;
use std::fmt::Write;

/// What a terminal can show.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Graphics {
    /// Text only.
    #[default]
    None,
    Kitty,
    Iterm2,
    Sixel,
}

/// What the terminal can show, by the variables that it sets: `DP_GRAPHICS` (kitty, iterm2, sixel, none) above all, then
/// `KITTY_WINDOW_ID`, `TERM_PROGRAM`, `TERM`. Within tmux and screen, which pass no pictures on, nothing.
pub fn graphics(variable: &dyn Fn(&str) -> Option<String>) -> Graphics {
    let value = |name: &str| variable(name).filter(|value| !value.is_empty());
    match value("DP_GRAPHICS").as_deref() {
        Some("kitty") => return Graphics::Kitty,
        Some("iterm2") => return Graphics::Iterm2,
        Some("sixel") => return Graphics::Sixel,
        Some(_) => return Graphics::None,
        None => {}
    }
    let term = value("TERM").unwrap_or_default();
    if value("TMUX").is_some() || term.starts_with("screen") || term.starts_with("tmux") || term == "dumb" {
        return Graphics::None;
    }
    if value("KITTY_WINDOW_ID").is_some() || matches!(term.as_str(), "xterm-kitty" | "xterm-ghostty") {
        return Graphics::Kitty;
    }
    match (value("TERM_PROGRAM").as_deref(), term.as_str()) {
        (Some("ghostty"), _) => Graphics::Kitty,
        (Some("iTerm.app" | "WezTerm" | "mintty" | "rio"), _) => Graphics::Iterm2,
        (_, "foot" | "foot-extra" | "mlterm" | "yaft-256color") => Graphics::Sixel,
        (_, term) if term.contains("sixel") => Graphics::Sixel,
        _ => Graphics::None,
    }
}

/// The characters that show a drawing in SVG, as wide as so many characters; for sixel, which knows pixels only, as wide as it is.
///
/// # Errors
/// In words: no drawing, one that is too large, or a terminal without pictures.
pub fn shown(svg: &str, columns: usize, graphics: Graphics) -> Result<String, String> {
    match graphics {
        Graphics::None => Err("the terminal shows no pictures".to_string()),
        Graphics::Kitty => Ok(kitty(&raster::png(svg)?, columns)),
        Graphics::Iterm2 => Ok(iterm2(&raster::png(svg)?, columns)),
        Graphics::Sixel => {
            let (rgb, w, h) = raster::pixels(svg, 1.0)?;
            Ok(sixel(&rgb, w, h))
        }
    }
}

/// https://iterm2.com/documentation-images.html
fn iterm2(png: &[u8], columns: usize) -> String {
    let data = base64::engine::general_purpose::STANDARD.encode(png);
    format!("\x1b]1337;File=inline=1;size={};width={columns};preserveAspectRatio=1:{data}\x07", png.len())
}

/// https://sw.kovidgoyal.net/kitty/graphics-protocol: the file in pieces of 4096 characters.
fn kitty(png: &[u8], columns: usize) -> String {
    const PIECE: usize = 4096;
    let data = base64::engine::general_purpose::STANDARD.encode(png);
    let pieces: Vec<&str> =
        data.as_bytes().chunks(PIECE).map(|piece| std::str::from_utf8(piece).unwrap_or("")).collect();
    let mut text = String::new();
    for (i, piece) in pieces.iter().enumerate() {
        let first = if i == 0 { format!("a=T,f=100,q=2,c={columns},") } else { String::new() };
        let more = u8::from(i + 1 < pieces.len());
        text += &format!("\x1b_G{first}m={more};{piece}\x1b\\");
    }
    text
}

/// Most colours that terminals keep for a picture.
const MOST_COLOURS: usize = 256;

/// Bands of six rows; in each, for every colour a row of characters whose bits tell the pixels.
fn sixel(rgb: &[u8], w: usize, h: usize) -> String {
    // Finer and finer, as long as there is room for the colours.
    let mut table: HashMap<[u8; 3], usize> = HashMap::new();
    let mut places = Vec::new();
    for levels in [256u32, 32, 16, 8, 6] {
        table.clear();
        places = rgb
            .as_chunks::<3>()
            .0
            .iter()
            .map(|pixel| {
                let step = |v: u8| ((u32::from(v) * (levels - 1) + 127) / 255 * 255 / (levels - 1)) as u8;
                let colour = pixel.map(step);
                let next = table.len();
                *table.entry(colour).or_insert(next)
            })
            .collect();
        if table.len() <= MOST_COLOURS {
            break;
        }
    }
    let mut text = format!("\x1bPq\"1;1;{w};{h}");
    let mut colours: Vec<([u8; 3], usize)> = table.into_iter().collect();
    colours.sort_by_key(|(_, place)| *place);
    for ([r, g, b], place) in &colours {
        let percent = |v: u8| (u32::from(v) * 100 + 127) / 255;
        let _ = write!(text, "#{place};2;{};{};{}", percent(*r), percent(*g), percent(*b));
    }
    for top in (0..h).step_by(6) {
        let rows = (h - top).min(6);
        let band = &places[top * w..(top + rows) * w];
        let mut present: Vec<usize> = band.to_vec();
        present.sort_unstable();
        present.dedup();
        for colour in present {
            let _ = write!(text, "#{colour}");
            let mut run: (char, usize) = ('?', 0);
            for x in 0..w {
                let bits: u8 = (0..rows).map(|y| u8::from(band[y * w + x] == colour) << y).sum();
                let c = (63 + bits) as char;
                if c == run.0 {
                    run.1 += 1;
                } else {
                    repeated(&mut text, run);
                    run = (c, 1);
                }
            }
            repeated(&mut text, run);
            text.push('$');
        }
        text.push('-');
    }
    text + "\x1b\\"
}

fn repeated(text: &mut String, (c, count): (char, usize)) {
    match count {
        0..4 => (0..count).for_each(|_| text.push(c)),
        _ => {
            let _ = write!(text, "!{count}{c}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(variables: &[(&str, &str)]) -> Graphics {
        graphics(&|name| variables.iter().find(|(own, _)| *own == name).map(|(_, value)| (*value).to_string()))
    }

    #[test]
    fn terminals_are_known_by_their_variables() {
        assert_eq!(found(&[("TERM", "xterm-256color")]), Graphics::None);
        assert_eq!(found(&[("TERM", "xterm-kitty")]), Graphics::Kitty);
        assert_eq!(found(&[("KITTY_WINDOW_ID", "1"), ("TERM", "xterm-kitty"), ("TMUX", "x")]), Graphics::None);
        assert_eq!(found(&[("TERM_PROGRAM", "iTerm.app"), ("TERM", "xterm-256color")]), Graphics::Iterm2);
        assert_eq!(found(&[("TERM", "foot")]), Graphics::Sixel);
        assert_eq!(found(&[("TERM", "xterm-kitty"), ("DP_GRAPHICS", "none")]), Graphics::None);
        assert_eq!(found(&[("TERM", "dumb"), ("DP_GRAPHICS", "sixel")]), Graphics::Sixel);
    }

    #[test]
    fn a_picture_goes_in_pieces_that_give_the_file_again() {
        let file: Vec<u8> = (0..9000).map(|i| (i * 7 % 251) as u8).collect();
        let text = kitty(&file, 72);
        let pieces: Vec<&str> = text.split("\x1b\\").filter(|piece| !piece.is_empty()).collect();
        assert_eq!(pieces.len(), 3);
        assert!(pieces[0].starts_with("\x1b_Ga=T,f=100,q=2,c=72,m=1;") && pieces[2].starts_with("\x1b_Gm=0;"));
        let data: String = pieces.iter().map(|piece| piece.split_once(';').expect("data").1).collect();
        assert_eq!(base64::engine::general_purpose::STANDARD.decode(data).expect("base64"), file);
        assert!(iterm2(&file, 72).starts_with("\x1b]1337;File=inline=1;size=9000;width=72;"));
        let svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"12\" height=\"7\"><rect width=\"12\" height=\"7\" fill=\"#fff\"/></svg>";
        for (graphics, start) in
            [(Graphics::Kitty, "\x1b_G"), (Graphics::Iterm2, "\x1b]"), (Graphics::Sixel, "\x1bPq\"1;1;12;7")]
        {
            assert!(shown(svg, 20, graphics).expect("a picture").starts_with(start));
        }
        assert!(shown(svg, 20, Graphics::None).is_err() && shown("no drawing", 20, Graphics::Kitty).is_err());
    }

    /// The pixels that a text of sixels sets, as colours in percent.
    fn read(text: &str, w: usize, h: usize) -> Vec<[u32; 3]> {
        let body = text.split_once('q').expect("a start").1.trim_end_matches("\x1b\\");
        let mut colours: HashMap<u32, [u32; 3]> = HashMap::new();
        let mut pixels = vec![[0; 3]; w * h];
        let (mut x, mut y, mut colour) = (0, 0, [0; 3]);
        let mut rest = body.chars().peekable();
        let number = |rest: &mut std::iter::Peekable<std::str::Chars>| {
            let mut value = 0;
            while let Some(digit) = rest.peek().and_then(|c| c.to_digit(10)) {
                value = 10 * value + digit;
                rest.next();
            }
            value
        };
        while let Some(c) = rest.next() {
            let (c, count) = match c {
                '!' => {
                    let count = number(&mut rest);
                    (rest.next().expect("a character"), count)
                }
                c => (c, 1),
            };
            match c {
                '"' => {
                    while rest.peek().is_some_and(|c| *c != '#') {
                        rest.next();
                    }
                }
                '#' => {
                    let place = number(&mut rest);
                    if rest.peek() == Some(&';') {
                        let mut parts = Vec::new();
                        while rest.next_if_eq(&';').is_some() {
                            parts.push(number(&mut rest));
                        }
                        colours.insert(place, [parts[1], parts[2], parts[3]]);
                    } else {
                        colour = colours[&place];
                    }
                }
                '$' => x = 0,
                '-' => (x, y) = (0, y + 6),
                c => {
                    let bits = c as u32 - 63;
                    for _ in 0..count {
                        (0..6).filter(|i| bits >> i & 1 == 1).for_each(|i| pixels[(y + i) * w + x] = colour);
                        x += 1;
                    }
                }
            }
        }
        pixels
    }

    #[test]
    fn sixels_give_the_pixels_again() {
        let (w, h) = (11, 8);
        let rgb: Vec<u8> = (0..3 * w * h).map(|i| if i / 9 % 2 == 0 { 255 } else { 51 * (i % 6) as u8 }).collect();
        let text = sixel(&rgb, w, h);
        let wanted: Vec<[u32; 3]> =
            rgb.as_chunks::<3>().0.iter().map(|p| p.map(|v| (u32::from(v) * 100 + 127) / 255)).collect();
        assert_eq!(read(&text, w, h), wanted);
        // More colours than there is room for.
        let many: Vec<u8> = (0..3 * 100 * 100u32).map(|i| (i * 37 % 256) as u8).collect();
        let text = sixel(&many, 100, 100);
        let defined =
            text.split('#').skip(1).filter(|part| part.split(['!', '-', '$']).next().is_some_and(|d| d.contains(';')));
        assert!(defined.count() <= MOST_COLOURS);
    }
}
