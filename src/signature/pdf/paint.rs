//! Where a page is painted (ISO 32000-1, 8 and 9): whether any text, line, area or image touches a rectangle.
//!
//! Nothing is drawn. Every operator that paints is bounded by a box that holds what it paints, cut by the boxes of
//! the clips in force: the box may be too large, so the answer errs towards "painted". What is not understood is an
//! answer of its own. A white area paints nothing that could be covered. Glyphs are taken to lie between 0.35 em
//! below and 1.1 em above their line and a quarter of an em beside their advance.

use std::collections::HashMap;
use std::rc::Rc;

use super::error::PdfError;
use super::file::State;
use super::font::Font;
use super::object::{Dict, Object};
use super::pages::Page;
use super::parse::Parser;
use super::stream;
use super::widget::Rect;
use crate::signature::limits::MAX_PDF_NODES;

/// Why a rectangle is not known to be blank.
#[derive(Debug)]
pub(crate) enum Painted {
    /// This lies there.
    By(&'static str),
    /// The page has something that is not understood here.
    Unknown(&'static str),
    /// The file cannot be read.
    Malformed(PdfError),
}

impl From<PdfError> for Painted {
    fn from(error: PdfError) -> Painted {
        Painted::Malformed(error)
    }
}

type Result<T> = std::result::Result<T, Painted>;

/// Forms inside forms.
const MAX_FORMS: usize = 8;

/// Graphics states kept by `q`; viewers stop at 28 or some hundreds.
const MAX_STATES: usize = 256;

/// Fonts kept, of up to some MiB each.
const MAX_FONTS: usize = 16;

/// Tolerance in points: what only touches the edge is not covered.
const EDGE: f64 = 0.5;

/// A transformation (8.3.3).
pub(crate) type Matrix = [f64; 6];

pub(crate) const IDENTITY: Matrix = [1.0, 0.0, 0.0, 1.0, 0.0, 0.0];

/// First `a`, then `b`.
fn multiply(a: Matrix, b: Matrix) -> Matrix {
    [
        a[0] * b[0] + a[1] * b[2],
        a[0] * b[1] + a[1] * b[3],
        a[2] * b[0] + a[3] * b[2],
        a[2] * b[1] + a[3] * b[3],
        a[4] * b[0] + a[5] * b[2] + b[4],
        a[4] * b[1] + a[5] * b[3] + b[5],
    ]
}

fn point(m: Matrix, x: f64, y: f64) -> (f64, f64) {
    (x * m[0] + y * m[2] + m[4], x * m[1] + y * m[3] + m[5])
}

/// Whether an entry of a graphics state (8.4.5) leaves white the white of the paper, and text its font.
fn is_ordinary(key: &[u8], value: &Object) -> bool {
    match key {
        b"BM" => value.is_name(b"Normal") || value.is_name(b"Compatible"),
        b"SMask" => value.is_name(b"None"),
        b"LW" => value.number().is_some(),
        b"Type" | b"LC" | b"LJ" | b"ML" | b"D" | b"RI" | b"FL" | b"SM" | b"SA" | b"CA" | b"ca" | b"AIS"
        | b"TK" | b"OP" | b"op" | b"OPM" => true,
        b"TR" => value.is_name(b"Identity"),
        b"TR2" | b"BG2" | b"UCR2" | b"HT" => value.is_name(b"Default"),
        _ => false,
    }
}

/// A box around nothing yet.
const NOTHING: Rect = [f64::INFINITY, f64::INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY];

fn extend(rect: &mut Rect, (x, y): (f64, f64)) {
    *rect = [rect[0].min(x), rect[1].min(y), rect[2].max(x), rect[3].max(y)];
}

/// The box around a rectangle after a transformation.
pub(crate) fn around(m: Matrix, r: Rect) -> Rect {
    let mut out = NOTHING;
    for (x, y) in [(r[0], r[1]), (r[2], r[1]), (r[0], r[3]), (r[2], r[3])] {
        extend(&mut out, point(m, x, y));
    }
    out
}

fn cut(a: Rect, b: Rect) -> Rect {
    [a[0].max(b[0]), a[1].max(b[1]), a[2].min(b[2]), a[3].min(b[3])]
}

#[derive(Clone)]
struct Graphics {
    ctm: Matrix,
    clip: Rect,
    line: f64,
    white: bool,
    font: Option<Rc<Font>>,
    size: f64,
    /// Character and word spacing, horizontal scale, leading, rise.
    spacing: f64,
    words: f64,
    scale: f64,
    leading: f64,
    rise: f64,
}

struct Painter<'s> {
    state: &'s State<'s>,
    target: Rect,
    /// Whether white paints nothing.
    paper: bool,
    fonts: HashMap<u32, Option<Rc<Font>>>,
}

/// The state at the start of a content (8.4.1).
const START: Graphics = Graphics {
    ctm: IDENTITY,
    clip: EVERYWHERE,
    line: 1.0,
    white: false,
    font: None,
    size: 0.0,
    spacing: 0.0,
    words: 0.0,
    scale: 1.0,
    leading: 0.0,
    rise: 0.0,
};

const EVERYWHERE: Rect = [f64::NEG_INFINITY, f64::NEG_INFINITY, f64::INFINITY, f64::INFINITY];

/// Fails unless a form is known to paint nothing at all, not even white.
pub(crate) fn nothing(state: &State, dict: &Dict, data: std::ops::Range<usize>) -> Result<()> {
    let content = decode(state, dict, data)?;
    let resources = state.get(dict, b"Resources")?;
    let resources = resources.dict().cloned().unwrap_or_default();
    let mut painter = Painter { state, target: EVERYWHERE, paper: false, fonts: HashMap::new() };
    painter.run(&content, &resources, START, MAX_FORMS)
}

/// Fails unless a page is known to be blank inside a rectangle.
pub(crate) fn blank(state: &State, page: &Page, target: Rect) -> Result<()> {
    let mut content = Vec::new();
    let contents = page.dict.get(b"Contents").cloned().unwrap_or(Object::Null);
    let parts = match &*state.resolve(&contents)? {
        Object::Array(parts) => parts.clone(),
        Object::Null => Vec::new(),
        _ => vec![contents],
    };
    for part in &parts {
        let object = part.reference().map(|number| state.read(number)).transpose()?.flatten();
        // Nothing paints nothing; what is added there later is a change of its own.
        let Some(object) = object else { continue };
        let Some((dict, data)) = object.stream() else {
            return Err(Painted::Unknown("contents that are no stream"));
        };
        content.extend(decode(state, dict, data)?);
        content.push(b'\n');
    }
    let resources = page.resources.as_ref().map(|value| state.resolve(value)).transpose()?;
    let resources = resources.as_deref().and_then(Object::dict).cloned().unwrap_or_default();
    Painter { state, target, paper: true, fonts: HashMap::new() }.run(&content, &resources, START, MAX_FORMS)
}

fn decode(state: &State, dict: &Dict, data: std::ops::Range<usize>) -> Result<Vec<u8>> {
    stream::decode(dict, &state.file.bytes[data], &state.file.budget).map_err(|error| match error {
        PdfError::Limit { .. } => Painted::Malformed(error),
        _ => Painted::Unknown("contents that do not decompress"),
    })
}

impl Painter<'_> {
    fn paint(&self, graphics: &Graphics, rect: Rect, what: &'static str) -> Result<()> {
        let (r, t) = (cut(rect, graphics.clip), self.target);
        if r.iter().any(|edge| edge.is_nan()) {
            return Err(Painted::Unknown("a place that is no number"));
        }
        let apart = r[0] > r[2]
            || r[1] > r[3]
            || r[0] >= t[2] - EDGE
            || r[2] <= t[0] + EDGE
            || r[1] >= t[3] - EDGE
            || r[3] <= t[1] + EDGE;
        if apart { Ok(()) } else { Err(Painted::By(what)) }
    }

    fn run(&mut self, content: &[u8], resources: &Dict, mut g: Graphics, forms: usize) -> Result<()> {
        let outer = g.clone();
        let paper = self.paper(resources)?;
        let mut kept: Vec<Graphics> = Vec::new();
        let mut operands: Vec<Object> = Vec::new();
        let (mut path, mut clipping) = (NOTHING, false);
        let (mut tm, mut tlm) = (IDENTITY, IDENTITY);
        let (mut at, mut nodes) = (0, 0);
        loop {
            let mut parser = Parser::new(content, at);
            parser.skip();
            let Some(byte) = parser.peek() else { return Ok(()) };
            let word =
                content[parser.at..].iter().take_while(|b| b.is_ascii_alphanumeric() || b"*'\"".contains(b));
            let operator = &content[parser.at..parser.at + word.count()];
            let is_operator = byte.is_ascii_alphabetic() || byte == b'\'' || byte == b'"';
            if !is_operator || matches!(operator, b"true" | b"false" | b"null") {
                let unknown = |_| Painted::Unknown("contents that cannot be read");
                operands.push(parser.object().map_err(unknown)?);
                // A number that readers take differently may be anywhere.
                if !operands.last().is_some_and(Object::is_plain) {
                    return Err(Painted::Unknown("a number that not every reader takes"));
                }
                self.state.file.budget.work(parser.nodes() + (parser.at - at) / 8)?;
                at = parser.at;
                nodes += parser.nodes();
                if operands.len() > 64 || nodes > MAX_PDF_NODES {
                    return Err(Painted::Unknown("contents that cannot be read"));
                }
                continue;
            }
            at = parser.at + operator.len();
            self.state.file.budget.work(1)?;
            let numbers: Vec<f64> = operands.iter().filter_map(Object::number).collect();
            let n = |i: usize| numbers.get(i).copied().unwrap_or(f64::NAN);
            let matrix = || [n(0), n(1), n(2), n(3), n(4), n(5)];
            match operator {
                b"q" if kept.len() >= MAX_STATES => return Err(Painted::Unknown("many graphics states")),
                b"q" => kept.push(g.clone()),
                b"Q" => g = kept.pop().unwrap_or_else(|| outer.clone()),
                b"cm" => g.ctm = multiply(matrix(), g.ctm),
                b"w" => g.line = n(0),
                b"m" | b"l" => extend(&mut path, point(g.ctm, n(0), n(1))),
                b"c" | b"v" | b"y" => {
                    for pair in numbers.chunks_exact(2) {
                        extend(&mut path, point(g.ctm, pair[0], pair[1]));
                    }
                }
                b"re" => {
                    extend(&mut path, point(g.ctm, n(0), n(1)));
                    extend(&mut path, point(g.ctm, n(0) + n(2), n(1)));
                    extend(&mut path, point(g.ctm, n(0), n(1) + n(3)));
                    extend(&mut path, point(g.ctm, n(0) + n(2), n(1) + n(3)));
                }
                b"h" => {}
                b"W" | b"W*" => clipping = true,
                b"S" | b"s" | b"f" | b"F" | b"f*" | b"B" | b"B*" | b"b" | b"b*" | b"n" => {
                    let strokes = matches!(operator, b"S" | b"s" | b"B" | b"B*" | b"b" | b"b*");
                    let fills = !matches!(operator, b"S" | b"s" | b"n") && !g.white;
                    if strokes {
                        // A corner may reach further than half the line; ten lines is the usual limit of it.
                        let scale = g.ctm[..4].iter().fold(0.0, |most: f64, v| most.max(v.abs()));
                        let w = (g.line * scale).max(EDGE);
                        self.paint(&g, [path[0] - w, path[1] - w, path[2] + w, path[3] + w], "a line")?;
                    } else if fills {
                        self.paint(&g, path, "an area")?;
                    }
                    if std::mem::take(&mut clipping) {
                        g.clip = cut(g.clip, path);
                    }
                    path = NOTHING;
                }
                b"g" => g.white = paper[0] && n(0) == 1.0,
                b"rg" => g.white = paper[1] && numbers == [1.0, 1.0, 1.0],
                b"k" => g.white = paper[2] && numbers == [0.0, 0.0, 0.0, 0.0],
                b"cs" | b"sc" | b"scn" => g.white = false,
                b"sh" => self.paint(&g, g.clip, "a shading")?,
                b"gs" => {
                    if let Some(Object::Dict(dict)) = self.resource(resources, b"ExtGState", &operands)? {
                        if !dict.iter().all(|(key, value)| is_ordinary(key, value)) {
                            return Err(Painted::Unknown("a graphics state of another kind"));
                        }
                        g.line = dict.get(b"LW").and_then(Object::number).unwrap_or(g.line);
                    }
                }
                b"Do" => self.object(resources, &operands, &g, forms)?,
                b"BT" => (tm, tlm) = (IDENTITY, IDENTITY),
                b"Tf" => {
                    g.font = self.font(resources, &operands)?;
                    g.size = n(0);
                }
                b"Tc" => g.spacing = n(0),
                b"Tw" => g.words = n(0),
                b"Tz" => g.scale = n(0) / 100.0,
                b"TL" => g.leading = n(0),
                b"Ts" => g.rise = n(0),
                b"Tm" => (tm, tlm) = (matrix(), matrix()),
                b"Td" | b"TD" => {
                    if operator == b"TD" {
                        g.leading = -n(1);
                    }
                    tlm = multiply([1.0, 0.0, 0.0, 1.0, n(0), n(1)], tlm);
                    tm = tlm;
                }
                b"T*" | b"'" | b"\"" => {
                    if operator == b"\"" {
                        (g.words, g.spacing) = (n(0), n(1));
                    }
                    tlm = multiply([1.0, 0.0, 0.0, 1.0, 0.0, -g.leading], tlm);
                    tm = tlm;
                    if operator != b"T*" {
                        self.show(&g, &mut tm, &operands)?;
                    }
                }
                b"Tj" => self.show(&g, &mut tm, &operands)?,
                b"TJ" => {
                    self.show(&g, &mut tm, operands.first().and_then(Object::array).unwrap_or_default())?
                }
                b"ET" | b"Tr" | b"G" | b"RG" | b"K" | b"CS" | b"SC" | b"SCN" | b"J" | b"j" | b"M" | b"d"
                | b"ri" | b"i" | b"BMC" | b"BDC" | b"EMC" | b"MP" | b"DP" | b"BX" | b"EX" => {}
                b"BI" => return Err(Painted::Unknown("an image in the contents")),
                _ => return Err(Painted::Unknown("an operator that does not exist")),
            }
            operands.clear();
            nodes = 0;
        }
    }

    /// Whether white in gray, RGB and CMYK is the white of the paper: resources may put other colour spaces in their
    /// place (8.6.5.6).
    fn paper(&self, resources: &Dict) -> Result<[bool; 3]> {
        let spaces = self.state.get(resources, b"ColorSpace")?;
        let usual = |key: &[u8]| self.paper && spaces.dict().is_none_or(|spaces| spaces.get(key).is_none());
        Ok([usual(b"DefaultGray"), usual(b"DefaultRGB"), usual(b"DefaultCMYK")])
    }

    fn resource(&self, resources: &Dict, kind: &[u8], operands: &[Object]) -> Result<Option<Object>> {
        let Some(name) = operands.iter().find_map(Object::name) else { return Ok(None) };
        let kind = self.state.get(resources, kind)?;
        let Some(value) = kind.dict().and_then(|kind| kind.get(name)) else { return Ok(None) };
        Ok(Some(self.state.resolve(value)?.into_owned()))
    }

    fn font(&mut self, resources: &Dict, operands: &[Object]) -> Result<Option<Rc<Font>>> {
        let fonts = self.state.get(resources, b"Font")?;
        let name = operands.iter().find_map(Object::name).unwrap_or_default();
        let Some(value) = fonts.dict().and_then(|fonts| fonts.get(name)) else { return Ok(None) };
        let known = value.reference();
        if let Some(font) = known.and_then(|number| self.fonts.get(&number)) {
            return Ok(font.clone());
        }
        let dict = self.state.resolve(value)?;
        let font = dict.dict().map(|dict| Font::read(self.state, dict)).transpose()?.flatten().map(Rc::new);
        if self.fonts.len() == MAX_FONTS {
            self.fonts.clear();
        }
        known.map(|number| self.fonts.insert(number, font.clone()));
        Ok(font)
    }

    /// Strings, and shifts between them (9.4.3, 9.4.4).
    fn show(&self, g: &Graphics, tm: &mut Matrix, items: &[Object]) -> Result<()> {
        for item in items {
            let advance = match item {
                Object::Text(text) => {
                    let Some(font) = &g.font else { return Err(Painted::Unknown("a font of another kind")) };
                    self.state.file.budget.work(text.bytes.len() / 8)?;
                    let mut advance = 0.0;
                    let (mut left, mut right) = (0.0f64, 0.0f64);
                    for (width, space) in font.codes(&text.bytes) {
                        let words = if space { g.words } else { 0.0 };
                        right = right.max(advance + width * g.size * g.scale);
                        advance += (width * g.size + g.spacing + words) * g.scale;
                        (left, right) = (left.min(advance), right.max(advance));
                    }
                    let beside = 0.25 * g.size.abs();
                    let (low, high) = (-0.35 * g.size, 1.1 * g.size);
                    let (low, high) = (low.min(high) + g.rise, low.max(high) + g.rise);
                    let line = [left - beside, low, right + beside, high];
                    if !text.bytes.is_empty() {
                        self.paint(g, around(multiply(*tm, g.ctm), line), "text")?;
                    }
                    advance
                }
                other => other.number().map_or(0.0, |shift| -shift / 1000.0 * g.size * g.scale),
            };
            *tm = multiply([1.0, 0.0, 0.0, 1.0, advance, 0.0], *tm);
        }
        Ok(())
    }

    /// An image, or a form with contents of its own (8.8, 8.10).
    fn object(&mut self, resources: &Dict, operands: &[Object], g: &Graphics, forms: usize) -> Result<()> {
        const UNKNOWN: Painted = Painted::Unknown("an object of another kind");
        let name = operands.iter().find_map(Object::name).unwrap_or_default();
        let objects = self.state.get(resources, b"XObject")?;
        let number = objects.dict().and_then(|objects| objects.get(name)).and_then(Object::reference);
        let object = number.map(|number| self.state.read(number)).transpose()?.flatten();
        let Some((dict, data)) = object.as_ref().and_then(|object| object.stream()) else {
            return Err(UNKNOWN);
        };
        if dict.is(b"Subtype", b"Image") {
            return self.paint(g, around(g.ctm, [0.0, 0.0, 1.0, 1.0]), "an image");
        }
        if !dict.is(b"Subtype", b"Form") {
            return Err(UNKNOWN);
        }
        let forms = forms.checked_sub(1).ok_or(Painted::Unknown("forms inside forms"))?;
        let numbers = |key: &[u8]| -> Result<Option<Vec<f64>>> {
            let list = self.state.get(dict, key)?;
            Ok(list.array().and_then(|items| items.iter().map(Object::number).collect()))
        };
        let matrix = numbers(b"Matrix")?.and_then(|m| m.first_chunk().copied()).unwrap_or(IDENTITY);
        let bounds: Option<Rect> = numbers(b"BBox")?.and_then(|b| b.first_chunk().copied());
        let Some([a, b, c, d]) = bounds else { return Err(UNKNOWN) };
        let mut inner = g.clone();
        inner.ctm = multiply(matrix, g.ctm);
        inner.clip = cut(g.clip, around(inner.ctm, [a.min(c), b.min(d), a.max(c), b.max(d)]));
        let own = self.state.get(dict, b"Resources")?;
        let content = decode(self.state, dict, data)?;
        self.run(&content, own.dict().unwrap_or(resources), inner, forms)
    }
}
