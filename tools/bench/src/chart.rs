// SPDX-License-Identifier: MIT OR Apache-2.0

//! Draws records: one SVG per mode.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::coord::ranged1d::SegmentValue;
use plotters::prelude::*;

use crate::record::{Mode, Record};
use crate::table::{digits, time};

const PANEL: (u32, u32) = (520, 330);
const COLUMNS: usize = 2;
const IVRING: RGBColor = RGBColor(0, 90, 181);
const LIMIT: RGBColor = RGBColor(0, 0, 0);
const OTHERS: RGBColor = RGBColor(140, 140, 140);
const FONT: &str = "sans-serif";
/// Pixels between the names of lines.
const LINE_HEIGHT: i32 = 12;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A point with a line to a worse value.
struct Dot {
    transport: String,
    value: f64,
    worse: f64,
}

/// Points on one logarithmic axis, a line for each transport.
struct Dots {
    title: &'static str,
    format: fn(f64) -> String,
    dots: Vec<Dot>,
}

/// Lines over two logarithmic axes.
struct Lines {
    title: &'static str,
    axis: &'static str,
    format: fn(f64) -> String,
    lines: BTreeMap<String, Vec<(f64, f64)>>,
}

enum Panel {
    Dots(Dots),
    Lines(Lines),
}

/// The titles and units of a workload.
type Field = fn(&Record) -> Option<f64>;

fn dots(
    records: &[&Record],
    workload: &str,
    title: &'static str,
    format: fn(f64) -> String,
    value: Field,
    worse: Field,
) -> Panel {
    let chosen = records.iter().filter(|record| record.workload == workload);
    let dot = |record: &&Record| {
        let value = value(record).filter(|value| *value > 0.0)?;
        Some(Dot {
            transport: record.transport.clone(),
            value,
            worse: worse(record).unwrap_or(value).max(value),
        })
    };
    let mut dots: Vec<_> = chosen.filter_map(dot).collect();
    dots.sort_by(|one, other| other.value.total_cmp(&one.value));
    Panel::Dots(Dots {
        title,
        format,
        dots,
    })
}

fn lines(
    records: &[&Record],
    workload: &str,
    title: &'static str,
    axis: (&'static str, fn(&Record) -> u64),
    format: fn(f64) -> String,
    value: Field,
) -> Panel {
    let mut lines: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for record in records.iter().filter(|record| record.workload == workload) {
        if let Some(value) = value(record) {
            let line = lines.entry(record.transport.clone()).or_default();
            line.push((axis.1(record) as f64, value));
        }
    }
    Panel::Lines(Lines {
        title,
        axis: axis.0,
        format,
        lines,
    })
}

fn panels(mode: Mode, records: &[&Record]) -> Vec<Panel> {
    let senders: (_, fn(&Record) -> u64) = ("senders", |record| record.senders);
    let bytes: (_, fn(&Record) -> u64) = ("bytes of payload", |record| record.payload_bytes);
    let all = if mode == Mode::Counted {
        let value: Field = |record| record.instructions_per_item;
        vec![
            dots(
                records,
                "stream",
                "stream: instructions an item",
                digits,
                value,
                value,
            ),
            dots(
                records,
                "round_trip",
                "round trip: instructions",
                digits,
                value,
                value,
            ),
            dots(
                records,
                "push",
                "one push to a busy receiver: instructions",
                digits,
                value,
                value,
            ),
            lines(
                records,
                "fan_in",
                "many senders: instructions an item",
                senders,
                digits,
                value,
            ),
        ]
    } else {
        let value: Field = |record| record.ns_per_item;
        let worse: Field = |record| Some(record.ns_per_item? + record.ns_spread?);
        let (p50, p99): (Field, Field) = (|record| record.p50_ns, |record| record.p99_ns);
        vec![
            dots(
                records,
                "stream",
                "stream: time an item",
                time,
                value,
                worse,
            ),
            dots(
                records,
                "round_trip",
                "round trip: median, and to the 99th percentile",
                time,
                p50,
                p99,
            ),
            dots(
                records,
                "request",
                "16 requests on their way: time a request",
                time,
                value,
                worse,
            ),
            dots(
                records,
                "trickle",
                "an item now and then: latency, median to p99",
                time,
                p50,
                p99,
            ),
            lines(
                records,
                "fan_in",
                "many senders: time an item",
                senders,
                time,
                value,
            ),
            lines(records, "large", "payloads: time each", bytes, time, value),
        ]
    };
    let is_empty = |panel: &Panel| match panel {
        Panel::Dots(panel) => panel.dots.is_empty(),
        Panel::Lines(panel) => panel.lines.is_empty(),
    };
    all.into_iter().filter(|panel| !is_empty(panel)).collect()
}

fn colour(transport: &str) -> RGBColor {
    match transport {
        _ if transport.starts_with("direct") || transport.starts_with("enqueue") => IVRING,
        _ if transport.starts_with("spin-") => LIMIT,
        _ => OTHERS,
    }
}

/// From a little below the smallest value to a little above the largest.
fn range(
    values: impl Iterator<Item = f64> + Clone,
    below: f64,
    above: f64,
) -> std::ops::Range<f64> {
    let least = values.clone().fold(f64::INFINITY, f64::min);
    let most = values.fold(0.0, f64::max);
    least / below..most * above
}

fn error<E: std::fmt::Display>(error: E) -> anyhow::Error {
    anyhow!("drawing: {error}")
}

fn draw_dots(area: &Area, panel: &Dots) -> Result<()> {
    let rows = panel.dots.len();
    let values = panel.dots.iter().flat_map(|dot| [dot.value, dot.worse]);
    let mut chart = ChartBuilder::on(area)
        .caption(panel.title, (FONT, 15))
        .margin(10)
        .x_label_area_size(24)
        .y_label_area_size(110)
        .build_cartesian_2d(
            range(values, 1.6, 4.0).log_scale(),
            (0..rows).into_segmented(),
        )
        .map_err(error)?;
    let name = |place: &SegmentValue<usize>| match place {
        // Leaves some room next to the axis.
        SegmentValue::CenterOf(row) if *row < rows => {
            format!("{}\u{a0}\u{a0}", panel.dots[*row].transport)
        }
        _ => String::new(),
    };
    chart
        .configure_mesh()
        .disable_y_mesh()
        .set_tick_mark_size(LabelAreaPosition::Left, 0)
        .light_line_style(TRANSPARENT)
        .y_labels(rows + 1)
        .y_label_formatter(&name)
        .x_labels(6)
        .x_label_formatter(&|value| (panel.format)(*value))
        .label_style((FONT, 12))
        .draw()
        .map_err(error)?;
    for (row, dot) in panel.dots.iter().enumerate() {
        let row = SegmentValue::CenterOf(row);
        let colour = colour(&dot.transport);
        let line = vec![(dot.value, row.clone()), (dot.worse, row.clone())];
        let text = (panel.format)(dot.value);
        let label = Text::new(text, (8, -6), (FONT, 12).into_font().color(&colour));
        chart
            .draw_series([PathElement::new(line, colour.stroke_width(2))])
            .map_err(error)?;
        chart
            .draw_series([Circle::new((dot.value, row.clone()), 4, colour.filled())])
            .map_err(error)?;
        let labelled = EmptyElement::at((dot.worse, row)) + label;
        chart.draw_series([labelled]).map_err(error)?;
    }
    Ok(())
}

/// Bytes with a unit, or a number without one.
fn power(value: f64) -> String {
    match value as u64 {
        value if value >= 1 << 20 => format!("{} MiB", value >> 20),
        value if value >= 1 << 10 => format!("{} KiB", value >> 10),
        value => value.to_string(),
    }
}

/// Moves places downwards, from top to bottom, so that no place is nearer than `LINE_HEIGHT` to the
/// one above it.
fn spread(places: &mut [i32]) {
    for lower in 1..places.len() {
        places[lower] = places[lower].max(places[lower - 1] + LINE_HEIGHT);
    }
}

fn draw_lines(area: &Area, panel: &Lines) -> Result<()> {
    let points = panel.lines.values().flatten();
    let xs = range(points.clone().map(|point| point.0), 1.0, 1.0);
    let ys = range(points.map(|point| point.1), 1.5, 1.5);
    let mut chart = ChartBuilder::on(area)
        .caption(panel.title, (FONT, 15))
        .margin(10)
        .margin_right(110)
        .x_label_area_size(36)
        .y_label_area_size(64)
        .build_cartesian_2d(xs.log_scale().base(2.0), ys.log_scale())
        .map_err(error)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_desc(panel.axis)
        .x_label_formatter(&|value| power(*value))
        .y_label_formatter(&|value| (panel.format)(*value))
        .label_style((FONT, 12))
        .draw()
        .map_err(error)?;
    let mut names = Vec::new();
    for (transport, line) in &panel.lines {
        let colour = colour(transport);
        let points = line
            .iter()
            .map(|&point| Circle::new(point, 3, colour.filled()));
        chart.draw_series(points).map_err(error)?;
        let line = LineSeries::new(line.iter().copied(), colour.stroke_width(2));
        chart.draw_series(line).map_err(error)?;
        let last = panel.lines[transport].last().expect("no line is empty");
        names.push((chart.backend_coord(last), transport, colour));
    }
    names.sort_by_key(|(place, ..)| place.1);
    let mut places: Vec<_> = names.iter().map(|(place, ..)| place.1).collect();
    spread(&mut places);
    let corner = area.get_base_pixel();
    for ((place, name, colour), y) in names.iter().zip(places) {
        let style = (FONT, 11).into_font().color(colour);
        let place = (place.0 - corner.0 + 8, y - corner.1 - LINE_HEIGHT / 2);
        area.draw_text(name, &style, place).map_err(error)?;
    }
    Ok(())
}

/// Draws the records of a mode; nothing if there are none.
pub fn draw(mode: Mode, records: &[Record], path: &Path) -> Result<()> {
    let records: Vec<_> = records
        .iter()
        .filter(|record| record.mode == mode)
        .collect();
    let panels = panels(mode, &records);
    if panels.is_empty() {
        return Ok(());
    }
    let rows = panels.len().div_ceil(COLUMNS);
    let size = (PANEL.0 * COLUMNS as u32, PANEL.1 * rows as u32);
    let root = SVGBackend::new(path, size).into_drawing_area();
    root.fill(&WHITE).map_err(error)?;
    for (area, panel) in root.split_evenly((rows, COLUMNS)).iter().zip(&panels) {
        match panel {
            Panel::Dots(panel) => draw_dots(area, panel)?,
            Panel::Lines(panel) => draw_lines(area, panel)?,
        }
    }
    root.present().map_err(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_do_not_overlap() {
        let mut places = [0, 3, 40, 45, 46];
        spread(&mut places);
        assert_eq!(places, [0, 12, 40, 52, 64]);
    }

    #[test]
    fn what_is_measured_is_drawn() {
        let mut records = Vec::new();
        for (number, transport) in ["pipe", "direct", "spin-ring"].iter().enumerate() {
            for senders in [1, 4] {
                for workload in ["stream", "fan_in"] {
                    records.push(Record {
                        ns_per_item: Some(10.0 * (number + senders) as f64),
                        ns_spread: Some(1.0),
                        ..Record::new(Mode::Bare, workload, transport, 64, senders)
                    });
                }
            }
        }
        let path = std::env::temp_dir().join(format!("ivring-bench-{}.svg", std::process::id()));
        draw(Mode::Vm, &records, &path).unwrap();
        assert!(!path.exists());
        draw(Mode::Bare, &records, &path).unwrap();
        let svg = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        for text in [
            "stream: time an item",
            "many senders",
            "spin-ring",
            "direct",
            "20.0 ns",
        ] {
            assert!(svg.contains(text), "no {text} in it");
        }
    }
}
