//! Two texts held against each other, line by line.

use std::fmt::Write as _;

/// The lines that differ; before those of a hunk the `config` line that they stand under, if any.
pub fn lines(old: &str, new: &str) -> String {
    let (a, b): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let head = a.iter().zip(&b).take_while(|(x, y)| x == y).count();
    let tail = a[head..].iter().rev().zip(b[head..].iter().rev()).take_while(|(x, y)| x == y).count();
    let (left, right) = (&a[head..a.len() - tail], &b[head..b.len() - tail]);
    let keep = common(left, right);
    let mut out = String::new();
    let (mut x, mut y) = (0, 0);
    let mut hunk = |x: usize, to: usize, y: usize, until: usize| {
        if x == to && y == until {
            return;
        }
        if let Some(section) = b[..head + y].iter().rev().find(|l| l.starts_with("config ")) {
            let _ = writeln!(out, "@@ {section}");
        }
        left[x..to].iter().for_each(|line| out.push_str(&format!("-{line}\n")));
        right[y..until].iter().for_each(|line| out.push_str(&format!("+{line}\n")));
    };
    for (to, until) in keep {
        hunk(x, to, y, until);
        (x, y) = (to + 1, until + 1);
    }
    hunk(x, left.len(), y, right.len());
    out
}

/// The longest row of lines that both have, as pairs of places.
fn common(a: &[&str], b: &[&str]) -> Vec<(usize, usize)> {
    // A golden file that is all new need not be compared in earnest.
    if a.len() * b.len() > 16_000_000 {
        return Vec::new();
    }
    let width = b.len() + 1;
    let mut most = vec![0_u32; (a.len() + 1) * width];
    for x in (0..a.len()).rev() {
        for y in (0..b.len()).rev() {
            most[x * width + y] = match a[x] == b[y] {
                true => most[(x + 1) * width + y + 1] + 1,
                false => most[(x + 1) * width + y].max(most[x * width + y + 1]),
            };
        }
    }
    let (mut x, mut y, mut pairs) = (0, 0, Vec::new());
    while x < a.len() && y < b.len() {
        if a[x] == b[y] {
            pairs.push((x, y));
            (x, y) = (x + 1, y + 1);
        } else if most[(x + 1) * width + y] >= most[x * width + y + 1] {
            x += 1;
        } else {
            y += 1;
        }
    }
    pairs
}

#[test]
fn hunks() {
    let old = "config a\n\toption x 1\n\toption y 2\n\nconfig b\n\toption z 3\n";
    let new = "config a\n\toption x 1\n\toption y 4\n\nconfig b\n\toption z 3\n\toption w 5\n";
    let want = "@@ config a\n-\toption y 2\n+\toption y 4\n@@ config b\n+\toption w 5\n";
    assert_eq!(lines(old, new), want);
    assert_eq!(lines(old, old), "");
    assert_eq!(lines("", "a\n"), "+a\n");
}
