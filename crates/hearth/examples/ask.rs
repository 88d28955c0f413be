//! Asks the model in the box a question: `cargo run --release -p hearth --example ask -- "Who are you?"`.

fn main() -> Result<(), hearth::Failure> {
    let question = std::env::args().nth(1).unwrap_or_else(|| "Who are you?".into());
    let home = hearth::Home::open(std::env::temp_dir().join("hearth-example"))?;
    for piece in home.model("starter").temperature(0.0).max_tokens(100).stream(&question) {
        print!("{}", piece?);
    }
    println!();
    Ok(())
}
