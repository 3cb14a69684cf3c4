//! Each line of a file is counted once, and a record is cut from a body as it was from its file.
//! The first byte selects the format.
#![no_main]
use countersign_bulk::{Content, Format, Lines, csv};

fn records(file: &[u8], format: Option<Format>) -> Option<(Vec<String>, String, u8)> {
    let mut lines = Lines::open(file, format).ok()?;
    let (mut records, mut next) = (Vec::new(), lines.head().lines + 1);
    for line in &mut lines {
        let line = line.expect("memory can be read");
        assert_eq!(line.number, next);
        next += 1 + line.further;
        if let Ok(Content::Record(text)) = line.content {
            records.push(text);
        }
    }
    assert_eq!(next - 1, lines.counted());
    Some((records, lines.head().text.clone(), lines.head().delimiter))
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((pick, file)) = input.split_first() else { return };
    let format = [None, Some(Format::Csv), Some(Format::Ndjson)][usize::from(pick % 3)];
    let Some((all, head, delimiter)) = records(file, format) else { return };
    if head.is_empty() {
        return;
    }
    for record in &all {
        let cells = csv::cells(record, delimiter).expect("a record that was cut");
        assert!(cells.iter().any(|cell| !cell.is_empty()));
        let again = records([head.as_str(), record.as_str()].concat().as_bytes(), Some(Format::Csv));
        assert_eq!(again, Some((vec![record.clone()], head.clone(), delimiter)));
    }
});
