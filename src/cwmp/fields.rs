//! Text records of the journal: lines of fields parted by tabs. A CommandKey may
//! hold any character, so tabs, line ends and backslashes inside a field are escaped.

/// Appends one line.
pub(crate) fn push_line(out: &mut String, fields: &[&str]) {
    for (n, field) in fields.iter().enumerate() {
        if n > 0 {
            out.push('\t');
        }
        for c in field.chars() {
            match c {
                '\\' => out.push_str("\\\\"),
                '\t' => out.push_str("\\t"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                c => out.push(c),
            }
        }
    }
    out.push('\n');
}

/// The lines of a record, each with `N` fields; lines that are not so are passed over.
pub(crate) fn lines<const N: usize>(record: &str) -> impl Iterator<Item = [String; N]> {
    record.split('\n').filter_map(|line| {
        let fields: Vec<String> = line.split('\t').map(unescape).collect::<Option<_>>()?;
        fields.try_into().ok()
    })
}

fn unescape(field: &str) -> Option<String> {
    let mut out = String::with_capacity(field.len());
    let mut chars = field.chars();
    while let Some(c) = chars.next() {
        out.push(match c {
            '\\' => match chars.next()? {
                '\\' => '\\',
                't' => '\t',
                'n' => '\n',
                'r' => '\r',
                _ => return None,
            },
            c => c,
        });
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_back() {
        let mut record = String::new();
        let table = [["a", ""], ["\t\\t\n", "\r\\"], ["é", "\\\\n"]];
        for fields in table {
            push_line(&mut record, &fields);
        }
        assert_eq!(record.matches('\n').count(), 3);
        let back: Vec<[String; 2]> = lines(&record).collect();
        assert_eq!(back, table.map(|f| f.map(str::to_string)));
    }

    #[test]
    fn damaged_lines_are_passed_over() {
        let back: Vec<[String; 2]> = lines("a\nb\tc\nd\te\tf\n\\x\ty\nz\\\ty\n\0\t\n").collect();
        assert_eq!(back, [["b".to_string(), "c".to_string()], ["\0".to_string(), String::new()]]);
    }
}
