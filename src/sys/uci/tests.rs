//! What libuci reads and refuses, and the bytes that a change touches.
use super::*;

#[test]
fn x() {
    let text = "config 'rule' \"r2\"\noption dns '1 2'\no a '2' ; o b '3' ; l l j\n\toption b 'x y' # c\noption n a\\ b";
    let p = Package::parse("a", text.into(), b"").unwrap();
    let e = [Edit::Drop { section: "r2".into() }];
    let u = undo_of(&p, &e);
    println!("{:?}", String::from_utf8_lossy(&u));
    println!("{:?}", String::from_utf8_lossy(&undo::put_back("a", b"".to_vec(), &u).unwrap()));
    panic!();
}
