//! Stacked bars as SVG, made here with plotters. Parts are told apart without colour: each has a pattern of its own, and
//! its number where there is room. The table behind a chart stands beside it, and says all that the chart does.

use maud::{Markup, PreEscaped, html};
use plotters::backend::SVGBackend;
use plotters::coord::Shift;
use plotters::drawing::DrawingAreaErrorKind;
use plotters::element::{PathElement, Rectangle, Text};
use plotters::prelude::{Color as _, DrawingArea, IntoDrawingArea as _, IntoFont as _, RGBColor};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{ShapeStyle, TextStyle};

/// A bar: its name, and its parts from the bottom up.
pub(super) struct Bar {
    /// What stands below it.
    pub name: String,
    /// Its parts, in the order of the legend.
    pub parts: [u64; 5],
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

const WIDTH: i32 = 600;
const HEIGHT: i32 = 290;
/// Where bars stand: left, top, right and bottom.
const LEFT: i32 = 46;
const TOP: i32 = 40;
const RIGHT: i32 = WIDTH - 8;
const BOTTOM: i32 = HEIGHT - 30;
/// Bars are never wider.
const WIDEST: i32 = 56;
/// Least height of a part that shows its number.
const ROOM: i32 = 14;

const INK: RGBColor = RGBColor(26, 26, 26);
const GRID: RGBColor = RGBColor(205, 211, 217);
const FILLS: [RGBColor; 5] = [
    RGBColor(23, 62, 102),
    RGBColor(150, 186, 220),
    RGBColor(250, 240, 214),
    RGBColor(120, 60, 20),
    RGBColor(255, 255, 255),
];

/// What is drawn over a fill.
#[derive(Clone, Copy)]
enum Pattern {
    Plain,
    Slanted,
    Level,
    Crossed,
    Dotted,
}

const PATTERNS: [Pattern; 5] =
    [Pattern::Plain, Pattern::Slanted, Pattern::Level, Pattern::Crossed, Pattern::Dotted];

/// The chart; nothing where there are no bars. `number` writes numbers in the page's language.
pub(super) fn stacked(
    title: &str,
    legend: [&str; 5],
    bars: &[Bar],
    number: impl Fn(u64) -> String,
) -> Option<Markup> {
    let most = bars.iter().map(|bar| bar.parts.iter().sum::<u64>()).max().filter(|most| *most > 0)?;
    let mut svg = String::new();
    draw(&mut svg, legend, bars, most, &number).ok()?;
    // In a page the head needs neither a size nor a namespace.
    let inner = svg.split_once('>').map(|(_, rest)| rest)?.trim_end().strip_suffix("</svg>")?.to_owned();
    Some(html! {
        svg.chart viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label=(title) { (PreEscaped(inner)) }
    })
}

fn draw(
    svg: &mut String,
    legend: [&str; 5],
    bars: &[Bar],
    most: u64,
    number: &impl Fn(u64) -> String,
) -> Drawn {
    let area = SVGBackend::with_string(svg, (WIDTH as u32, HEIGHT as u32)).into_drawing_area();
    let mut x = LEFT;
    for (i, name) in legend.iter().enumerate() {
        part(&area, i, (x, 6), (x + 22, 20))?;
        text(&area, name, (x + 28, 13), 13, &INK, HPos::Left)?;
        x += 28 + 7 * name.chars().count() as i32 + 14;
    }
    let top = ceiling(most);
    let height = |n: u64| (i128::from(n) * i128::from(BOTTOM - TOP) / i128::from(top)) as i32;
    for step in 0..=4 {
        let value = top / 4 * step;
        let y = BOTTOM - height(value);
        area.draw(&PathElement::new(vec![(LEFT, y), (RIGHT, y)], GRID.stroke_width(1)))?;
        text(&area, &number(value), (LEFT - 6, y), 12, &INK, HPos::Right)?;
    }
    let slot = (RIGHT - LEFT) / bars.len().max(1) as i32;
    let width = (slot * 7 / 10).min(WIDEST);
    for (i, bar) in bars.iter().enumerate() {
        let middle = LEFT + slot * i as i32 + slot / 2;
        let (left, right) = (middle - width / 2, middle + width / 2);
        let (mut sum, mut bottom) = (0, BOTTOM);
        for (place, n) in bar.parts.iter().enumerate().filter(|(_, n)| **n > 0) {
            sum += n;
            // A part that is there is seen.
            let upper = (BOTTOM - height(sum)).min(bottom - 2);
            part(&area, place, (left, upper), (right, bottom))?;
            if bottom - upper >= ROOM {
                label(&area, &number(*n), place, (middle, (upper + bottom) / 2))?;
            }
            bottom = upper;
        }
        if sum > 0 {
            text(&area, &number(sum), (middle, bottom - 9), 12, &INK, HPos::Center)?;
        }
        text(&area, &bar.name, (middle, BOTTOM + 14), 12, &INK, HPos::Center)?;
    }
    area.draw(&PathElement::new(vec![(LEFT, BOTTOM), (RIGHT, BOTTOM)], INK.stroke_width(1)))?;
    area.present()
}

/// The least number not below `most` that four steps of a round size reach.
fn ceiling(most: u64) -> u64 {
    let mut unit = 1_u64;
    loop {
        for tenths in [10, 15, 20, 25, 30, 40, 50, 60, 80] {
            // Whole numbers at every step.
            let top = unit.saturating_mul(4 * tenths) / 10;
            if top >= most && top.is_multiple_of(4) {
                return top;
            }
        }
        // Beyond what can be counted.
        let Some(next) = unit.checked_mul(10) else { return u64::MAX };
        unit = next;
    }
}

fn text(area: &Area<'_>, what: &str, at: (i32, i32), size: i32, ink: &RGBColor, side: HPos) -> Drawn {
    let style =
        TextStyle::from(("sans-serif", size).into_font()).color(ink).pos(Pos::new(side, VPos::Center));
    area.draw(&Text::new(what.to_owned(), at, style))
}

/// A number on a part: on a plain one as it is, otherwise on a field of its own.
fn label(area: &Area<'_>, what: &str, place: usize, (x, y): (i32, i32)) -> Drawn {
    let white = RGBColor(255, 255, 255);
    if matches!(PATTERNS[place], Pattern::Plain) {
        return text(area, what, (x, y), 12, &white, HPos::Center);
    }
    let half = 3 + what.chars().count() as i32 * 7 / 2;
    area.draw(&Rectangle::new([(x - half, y - 7), (x + half, y + 7)], white.filled()))?;
    text(area, what, (x, y), 12, &INK, HPos::Center)
}

/// A rectangle with the fill and pattern of a part.
fn part(area: &Area<'_>, place: usize, from: (i32, i32), to: (i32, i32)) -> Drawn {
    area.draw(&Rectangle::new([from, to], FILLS[place].filled()))?;
    let line: ShapeStyle = match PATTERNS[place] {
        Pattern::Crossed => RGBColor(255, 255, 255).stroke_width(1),
        _ => RGBColor(60, 72, 84).stroke_width(1),
    };
    match PATTERNS[place] {
        Pattern::Plain => {}
        Pattern::Slanted => slanted(area, from, to, 6, false, line)?,
        Pattern::Crossed => {
            slanted(area, from, to, 6, false, line)?;
            slanted(area, from, to, 6, true, line)?;
        }
        Pattern::Level => {
            for y in (from.1 + 4..to.1).step_by(5) {
                area.draw(&PathElement::new(vec![(from.0, y), (to.0, y)], line))?;
            }
        }
        Pattern::Dotted => {
            for y in (from.1 + 3..to.1 - 1).step_by(6) {
                for x in (from.0 + 3..to.0 - 1).step_by(6) {
                    area.draw(&Rectangle::new([(x, y), (x + 1, y + 1)], INK.filled()))?;
                }
            }
        }
    }
    area.draw(&Rectangle::new([from, to], INK.stroke_width(1)))
}

/// Slanted lines, cut at the edges of a rectangle.
fn slanted(
    area: &Area<'_>,
    (left, upper): (i32, i32),
    (right, lower): (i32, i32),
    gap: i32,
    mirrored: bool,
    line: ShapeStyle,
) -> Drawn {
    let (width, height) = (right - left, lower - upper);
    for offset in (gap..width + height).step_by(gap as usize) {
        // x + y = offset within the rectangle.
        let (x1, x2) = ((offset - height).max(0), offset.min(width));
        let at = |x: i32| {
            let across = if mirrored { right - x } else { left + x };
            (across, upper + (offset - x))
        };
        area.draw(&PathElement::new(vec![at(x1), at(x2)], line))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEGEND: [&str; 5] = ["a", "b", "c", "d", "e"];

    #[test]
    fn a_chart_has_every_number_that_there_is_room_for_and_needs_nothing_of_others() {
        let bars = [
            Bar { name: "01/2016".into(), parts: [400, 300, 200, 100, 1] },
            Bar { name: "02/2016".into(), parts: [0; 5] },
        ];
        let svg = stacked("title <&>", LEGEND, &bars, |n| n.to_string()).unwrap().into_string();
        for number in ["400", "300", "200", "100", "1001"] {
            assert!(svg.contains(&format!("\n{number}\n")), "{number}: {svg}");
        }
        assert!(svg.contains("title &lt;&amp;&gt;") && svg.contains("01/2016"));
        for elsewhere in ["http", "style=", "url("] {
            assert!(!svg.contains(elsewhere), "{elsewhere}");
        }
        assert!(stacked("", LEGEND, &bars[1..], |n| n.to_string()).is_none());
        assert!(stacked("", LEGEND, &[], |n| n.to_string()).is_none());
    }

    #[test]
    fn the_scale_is_round_and_reaches_the_highest_bar() {
        for (most, top) in [
            (1, 4),
            (4, 4),
            (5, 8),
            (9, 12),
            (33, 40),
            (52, 60),
            (81, 100),
            (397, 400),
            (401, 600),
            (1_001, 1_200),
        ] {
            assert_eq!(ceiling(most), top);
        }
        assert_eq!(ceiling(u64::MAX), u64::MAX);
    }
}
