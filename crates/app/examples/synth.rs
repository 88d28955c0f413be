//! Writes a model of a published model's shape with random weights, as `cargo xtask synth` asks for it:
//! `synth --shape NAME --quant NAME --out PATH [--format gguf|folder]`; without a shape it lists those that there are.
//!
//! Not part of the program: nobody who uses models needs such files, whoever measures does.

use std::process::ExitCode;

use app::job::training::Format;
use app::{Failure, Synthesis, shape_names, synthesise};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let written = match read(&arguments) {
        Ok(Some(order)) => synthesise(&order),
        Ok(None) => {
            for (name, like) in shape_names() {
                println!("{name:<14} {like}");
            }
            return ExitCode::SUCCESS;
        }
        Err(failure) => Err(failure),
    };
    match written {
        Ok(files) => {
            for (path, size_bytes) in files {
                println!("{} {size_bytes} bytes", path.display());
            }
            ExitCode::SUCCESS
        }
        Err(Failure { message, hint, .. }) => {
            eprintln!("error: {message}\nhint: {hint}");
            ExitCode::FAILURE
        }
    }
}

/// What is asked for; nothing where no shape is.
fn read(arguments: &[String]) -> Result<Option<Synthesis>, Failure> {
    let wrong = |message: String| {
        Failure::new("usage", message, "--shape NAME --quant NAME --out PATH [--format gguf|folder]")
    };
    let (mut shape, mut mix, mut out, mut format) = (None, None, None, Format::Gguf);
    let mut rest = arguments.iter();
    while let Some(name) = rest.next() {
        let value = rest.next().ok_or_else(|| wrong(format!("{name} needs a value")))?;
        match (name.as_str(), value.as_str()) {
            ("--shape", value) => shape = Some(value.to_owned()),
            ("--quant", value) => mix = Some(value.to_owned()),
            ("--out", value) => out = Some(value.into()),
            ("--format", "gguf") => format = Format::Gguf,
            ("--format", "folder") => format = Format::Safetensors,
            _ => return Err(wrong(format!("{name} {value} is not known"))),
        }
    }
    let Some(shape) = shape else { return Ok(None) };
    let mix = mix.ok_or_else(|| wrong("which types? --quant NAME".into()))?;
    let out = out.ok_or_else(|| wrong("where to? --out PATH".into()))?;
    Ok(Some(Synthesis { shape, mix, out, format }))
}
