use std::io::BufRead;
fn main() {
    let debug = std::env::args().nth(1).is_some();
    let (mut ok, mut bad) = (0, 0);
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        if line.trim().is_empty() {
            continue;
        }
        match shardloom::sql::parse(line.as_bytes(), Default::default()) {
            Ok(parsed) => {
                ok += 1;
                if debug {
                    println!("{line}\n  => {}\n  {:?}", parsed.statement, parsed.notes);
                }
            }
            Err(error) => {
                bad += 1;
                println!("{line}\n    !! {error}");
            }
        }
    }
    println!("{ok} ok, {bad} bad");
}
