//! One kind of drawing: lines over two logarithmic axes. It knows nothing of what it draws.

use std::fmt::Write as _;

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 440.0;
const LEFT: f64 = 80.0;
const RIGHT: f64 = 310.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 56.0;

/// Told apart by people who see colours differently.
const COLOURS: [&str; 8] =
    ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000", "#888888"];

/// A line with a name. Coordinates that are not above zero are left out.
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// A picture.
pub(crate) struct Chart<'a> {
    pub(crate) title: &'a str,
    pub(crate) across: &'a str,
    pub(crate) up: &'a str,
    pub(crate) lines: Vec<Line>,
}

/// One axis: powers of ten from the first to the last.
struct Axis {
    first: i32,
    last: i32,
    from: f64,
    to: f64,
}

impl Axis {
    fn over(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let (low, high) =
            values.fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
        let (first, last) =
            if low > high { (0, 1) } else { (low.log10().floor() as i32, high.log10().ceil() as i32) };
        Self { first, last: last.max(first + 1), from, to }
    }

    fn place(&self, value: f64) -> f64 {
        let share = (value.log10() - f64::from(self.first)) / f64::from(self.last - self.first);
        self.from + share * (self.to - self.from)
    }

    fn marks(&self) -> impl Iterator<Item = (f64, String)> {
        (self.first..=self.last).map(|power| (self.place(10f64.powi(power)), mark(power)))
    }
}

/// A power of ten as people write it.
fn mark(power: i32) -> String {
    match power {
        ..0 => format!("{}", 10f64.powi(power)),
        0..3 => format!("{:.0}", 10f64.powi(power)),
        3..6 => format!("{:.0} k", 10f64.powi(power - 3)),
        6.. => format!("{:.0} M", 10f64.powi(power - 6)),
    }
}

impl Chart<'_> {
    /// The picture as SVG.
    pub(crate) fn draw(&self) -> String {
        let drawn = |line: &Line| -> Vec<(f64, f64)> {
            line.points.iter().copied().filter(|(x, y)| *x > 0.0 && *y > 0.0).collect()
        };
        let all: Vec<(f64, f64)> = self.lines.iter().flat_map(drawn).collect();
        let across = Axis::over(all.iter().map(|point| point.0), LEFT, WIDTH - RIGHT);
        let up = Axis::over(all.iter().map(|point| point.1), HEIGHT - BOTTOM, TOP);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
             font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
        );
        text(&mut svg, LEFT, 24.0, "start", self.title);
        text(&mut svg, (LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 14.0, "middle", self.across);
        text(&mut svg, LEFT - 6.0, TOP - 14.0, "end", self.up);
        for (x, mark) in across.marks() {
            rule(&mut svg, (x, TOP), (x, HEIGHT - BOTTOM));
            text(&mut svg, x, HEIGHT - BOTTOM + 16.0, "middle", &mark);
        }
        for (y, mark) in up.marks() {
            rule(&mut svg, (LEFT, y), (WIDTH - RIGHT, y));
            text(&mut svg, LEFT - 6.0, y + 4.0, "end", &mark);
        }
        for (nth, line) in self.lines.iter().enumerate() {
            let colour = COLOURS[nth % COLOURS.len()];
            let mut path = String::new();
            for (x, y) in drawn(line) {
                let (x, y) = (across.place(x), up.place(y));
                let _ = write!(path, "{x:.1},{y:.1} ");
                let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>");
            }
            let _ = writeln!(
                svg,
                "<polyline points=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>"
            );
            let y = TOP + 10.0 + 18.0 * nth as f64;
            let x = WIDTH - RIGHT + 14.0;
            let _ = writeln!(
                svg,
                "<rect x=\"{x}\" y=\"{}\" width=\"12\" height=\"4\" fill=\"{colour}\"/>",
                y - 6.0
            );
            text(&mut svg, x + 18.0, y, "start", &line.name);
        }
        svg.push_str("</svg>\n");
        svg
    }
}

fn rule(svg: &mut String, from: (f64, f64), to: (f64, f64)) {
    let _ = writeln!(
        svg,
        "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"#ddd\"/>",
        from.0, from.1, to.0, to.1
    );
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_on_an_axis_are_logarithmic() {
        let axis = Axis::over([20.0, 900.0].into_iter(), 0.0, 200.0);
        assert_eq!((axis.first, axis.last), (1, 3));
        assert!((axis.place(100.0) - 100.0).abs() < 1e-9);
        assert_eq!(axis.marks().map(|(_, mark)| mark).collect::<Vec<_>>(), ["10", "100", "1 k"]);
    }

    #[test]
    fn nothing_to_draw_is_an_empty_picture() {
        let lines = vec![Line { name: "a < b".into(), points: vec![(0.0, 1.0)] }];
        let svg = Chart { title: "t", across: "x", up: "y", lines }.draw();
        assert!(svg.contains("a &lt; b") && !svg.contains("NaN") && !svg.contains("circle"), "{svg}");
    }
}
